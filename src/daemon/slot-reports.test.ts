// A8, B4: what a node says about its slots, and when it says nothing.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Measure } from "#base/assignment.ts";
import { nodeId } from "#base/ids.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version } from "#core/steering/testing/desired.ts";
import { SlotReports, type MeasuredSlots } from "./slot-reports.ts";

const SLOTS = 4;
const steady = nextTables(undefined, desired(SLOTS, [{ id: 1 }]), version(1));
const first = nextTables(undefined, desired(SLOTS, [{ id: 1 }, { id: 2, weight: 0 }]), version(1));
const moved = nextTables(first, desired(SLOTS, [{ id: 1, weight: 0 }, { id: 2 }]), version(2));

interface Scene {
  readonly measured?: readonly (readonly [string, Measure])[];
  readonly tables?: typeof steady;
  readonly installed?: ReturnType<typeof version>;
  readonly counts?: Partial<MeasuredSlots>;
}

function reports({ measured = [], tables = steady, installed, counts = {} }: Scene): SlotReports {
  const none = new Float64Array(SLOTS);
  return new SlotReports({
    self: nodeId(1),
    tables: () => tables,
    version: () => installed ?? tables.version,
    measured: () => new Map(measured),
    readLoads: () => new Map([["web", { packets: none, bytes: none, ...counts }]]),
    connections: () => [],
  });
}

test("A8: rates are counts over the time between two readings, of what the group is balanced by", () => {
  const counts = {
    packets: Float64Array.of(0, 300, 1, 5),
    bytes: Float64Array.of(1, 2, 3, 4),
  };
  const packets = reports({ measured: [["web", "packets"]], counts });
  assert.deepEqual(packets.next(1000, true).slots, { tables: steady.version, groups: [] });
  assert.deepEqual(packets.next(4000, true).slots?.groups, [
    {
      name: "web",
      rates: [
        { slot: 1, rate: 100 },
        { slot: 3, rate: 2 },
      ],
      unused: [],
    },
  ]);
  const bytes = reports({ measured: [["web", "bytes"]], counts });
  bytes.next(0, true);
  assert.deepEqual(
    bytes.next(1000, true).slots?.groups[0]?.rates.map(({ rate }) => rate),
    [1, 2, 3, 4],
  );
});

test("A8: an idle node of a measured group says so; without a measured group there is nothing to say", () => {
  const idle = reports({ measured: [["web", "packets"]] });
  idle.next(0, true);
  assert.deepEqual(idle.next(2000, true).slots, { tables: steady.version, groups: [] });
  assert.equal(reports({}).next(0, true).slots, undefined);
});

test("B4: slots that are unused are named, also where nothing is measured", () => {
  const former = reports({ tables: moved });
  assert.equal(former.next(0, true).slots, undefined);
  assert.deepEqual(former.next(2000, true).slots, {
    tables: moved.version,
    groups: [{ name: "web", rates: [], unused: [0, 1, 2, 3] }],
  });
});

test("B4: a node whose packet program goes by other tables says nothing", () => {
  const behind = reports({ tables: moved, installed: version(1), measured: [["web", "packets"]] });
  behind.next(0, true);
  assert.equal(behind.next(2000, true).slots, undefined);
});
