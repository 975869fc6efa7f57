// Where tables go in the kernel's maps: what is there stays where it is, nothing overlaps, what does not fit is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import { NO_EXCEPTIONS, type GroupTable, type Tables } from "#core/steering/tables.ts";
import type { ServiceEntry } from "./service-map.ts";
import { planTables, type TablePlan } from "./table-plan.ts";

const CAPACITIES = { slots: 256, services: 64, groups: 16, vips: 16 };

interface Wanted {
  readonly name: string;
  readonly slots: number;
  readonly ports: readonly number[];
}

const tablesOf = (wanted: readonly Wanted[]): Tables => ({
  version: { epoch: 1, counter: 1, master: nodeId(1) },
  hashKey: [1, 2],
  hash: "keyed",
  delivery: { method: "forward", primary: undefined },
  nodes: [],
  vips: [],
  groups: wanted.map(({ name, slots, ports }): GroupTable => ({
    name,
    policy: "weighted",
    holds: false,
    services: ports.map((port) => ({ protocol: "tcp", vip: ip("10.0.0.1"), port })),
    owners: new Uint16Array(slots),
    former: new Uint16Array(slots * 3),
    home: new Uint16Array(slots),
    udpIdleMs: 0,
    exceptions: NO_EXCEPTIONS,
  })),
});

/** What the kernel holds after a plan was carried out. */
const resultOf = (plan: TablePlan): Map<string, ServiceEntry> =>
  new Map(plan.groups.flatMap(({ keys, entry }) => keys.map((key) => [key, entry] as const)));

function assertApart(plan: TablePlan): void {
  const regions = plan.groups.map(({ entry }) => entry).sort((a, b) => a.base - b.base);
  regions.forEach((region, index) => {
    const next = regions[index + 1];
    assert.equal(region.base % 4, 0);
    assert.ok(region.base + region.slots <= (next?.base ?? CAPACITIES.slots));
  });
  assert.equal(new Set(regions.map(({ group }) => group)).size, regions.length);
}

test("B1: a group keeps its slots and its counter while others come and go", () => {
  const one = { name: "one", slots: 16, ports: [80, 81] };
  const two = { name: "two", slots: 32, ports: [90] };
  const first = planTables(tablesOf([one, two]), new Map(), CAPACITIES);
  const present = resultOf(first);
  const second = planTables(tablesOf([{ ...two, ports: [90, 91] }]), present, CAPACITIES);
  assert.deepEqual(second.groups[0]?.entry, first.groups[1]?.entry);
  assert.equal(second.groups[0]?.fresh, false);
  assert.equal(second.vanished.length, 2);
});

test("B1: a group of another size gets new slots beside the old ones, which packets still read", () => {
  const first = planTables(
    tablesOf([{ name: "a", slots: 16, ports: [80] }]),
    new Map(),
    CAPACITIES,
  );
  const grown = tablesOf([{ name: "a", slots: 64, ports: [80] }]);
  const second = planTables(grown, resultOf(first), CAPACITIES);
  assert.ok((second.groups[0]?.entry.base ?? 0) >= 16);
  assert.equal(second.groups[0]?.entry.group, first.groups[0]?.entry.group);
});

test("B1: what does not fit is refused with the setting to raise", () => {
  const huge = tablesOf([{ name: "a", slots: 512, ports: [80] }]);
  assert.throws(
    () => planTables(huge, new Map(), CAPACITIES),
    (error: unknown) =>
      error instanceof PanError &&
      error.code === "PAN_TABLES_CAPACITY" &&
      /slotCapacity/.test(error.message),
  );
});

const wanted = fc
  .array(
    fc.record({
      name: fc.constantFrom("a", "b", "c", "d"),
      slots: fc.constantFrom(2, 4, 8, 16, 32),
      ports: fc.uniqueArray(fc.integer({ min: 1, max: 12 }), { minLength: 1, maxLength: 6 }),
    }),
    { maxLength: 4 },
  )
  .map(tablesOf);

test("B1: whatever follows whatever, regions and counters are apart, also from those still in use", () => {
  fc.assert(
    fc.property(fc.array(wanted, { minLength: 2, maxLength: 6 }), (series) => {
      let present = new Map<string, ServiceEntry>();
      for (const tables of series) {
        const plan = planTables(tables, present, CAPACITIES);
        assertApart(plan);
        const after = resultOf(plan);
        for (const [key, old] of present) {
          const now = after.get(key);
          if (now === undefined || now.base === old.base) continue;
          for (const { entry, fresh } of plan.groups) {
            const isNew = fresh || entry.slots !== old.slots;
            const apart =
              entry.base + entry.slots <= old.base || old.base + old.slots <= entry.base;
            assert.ok(apart || !isNew, "nothing new is written where a service still looks");
          }
        }
        present = after;
      }
    }),
    { numRuns: 300 },
  );
});
