// B4: which connections are pinned by the next version of the tables.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import { flowKey, type FlowKey } from "#wire/flow-key.ts";
import { countExceptions, placeOf, withExceptions } from "./exceptions.ts";
import { indexTables } from "./indexed-tables.ts";
import { nextTables, type Desired } from "./next-tables.ts";
import { MAX_EXCEPTIONS, type Tables } from "./tables.ts";
import { desired, version, web } from "./testing/desired.ts";
import { keyOf } from "./testing/pinned.ts";

const VIP = "10.0.0.100";
const SLOTS = 64;
const nodes = [{ id: 1 }, { id: 2 }, { id: 3 }];
const first = nextTables(undefined, desired(SLOTS, nodes), version(1));
const flow = (port: number): FlowKey => keyOf({ from: ["192.0.2.7", port], to: [VIP, 80] });
const pins = (...entries: readonly (readonly [number, number])[]): Map<FlowKey, NodeId> =>
  new Map(entries.map(([port, node]) => [flow(port), node as NodeId]));
const pinnedIn = (tables: Tables): (readonly [FlowKey, number])[] => {
  const { flows, nodes: at } = web(tables).exceptions;
  return flows.map((each, index) => [each, at[index] ?? 0]);
};

const base = withExceptions(undefined, first, pins([30_003, 3], [30_001, 1], [30_002, 2])).tables;

test("B4: what is reported is pinned, in order and with its slot", () => {
  assert.deepEqual(pinnedIn(base), [
    [flow(30_001), 1],
    [flow(30_002), 2],
    [flow(30_003), 3],
  ]);
  const indexed = indexTables(base);
  const { flows, slots } = web(base).exceptions;
  assert.deepEqual(
    flows.map((each) => placeOf(indexed, each)?.slot),
    [...slots],
  );
  const { tables, refused } = withExceptions(base, first, pins([30_000, 1], [30_002, NO_NODE]));
  assert.equal(refused, 0);
  assert.deepEqual(pinnedIn(tables), [
    [flow(30_000), 1],
    [flow(30_001), 1],
    [flow(30_003), 3],
  ]);
});

test("B4: what is pinned and does not change is the same object in the next tables", () => {
  const next = nextTables(
    base,
    desired(SLOTS, [{ id: 1, weight: 3 }, { id: 2 }, { id: 3 }]),
    version(2),
  );
  const { tables } = withExceptions(base, next, new Map());
  assert.notDeepEqual(web(tables).owners, web(base).owners);
  assert.equal(web(tables).exceptions, web(base).exceptions);
});

test("B4: who has a connection keeps it: a second report does not move it", () => {
  const { tables } = withExceptions(base, first, pins([30_001, 2]));
  assert.deepEqual(pinnedIn(tables), pinnedIn(base));
});

test("B4: exceptions of a node that cannot be reached are gone, and none are added", () => {
  const without = nextTables(base, desired(SLOTS, [{ id: 1 }, { id: 2 }]), version(2));
  const { tables } = withExceptions(base, without, pins([30_009, 3]));
  assert.deepEqual(pinnedIn(tables), [
    [flow(30_001), 1],
    [flow(30_002), 2],
  ]);
});

test("B4: another number of slots, hash or policy gives a connection another slot, and it stays pinned", () => {
  const wanted = desired(SLOTS, nodes);
  const changes: Desired[] = [
    { ...wanted, groups: wanted.groups.map((group) => ({ ...group, slots: 4 * SLOTS })) },
    { ...wanted, groups: wanted.groups.map((group) => ({ ...group, policy: "sticky" as const })) },
    { ...wanted, hash: "xor" },
  ];
  for (const change of changes) {
    const { tables } = withExceptions(base, nextTables(base, change, version(2)), new Map());
    assert.deepEqual(pinnedIn(tables), pinnedIn(base));
    const indexed = indexTables(tables);
    const { flows, slots } = web(tables).exceptions;
    assert.deepEqual(
      flows.map((each) => placeOf(indexed, each)?.slot),
      [...slots],
    );
  }
});

test("B4: connections to a service that is not of the group any more are not pinned", () => {
  const wanted = desired(SLOTS, nodes);
  const moved = wanted.groups.map((group) => ({
    ...group,
    services: [{ protocol: "tcp" as const, vip: ip(VIP), port: 8080 }],
  }));
  const next = nextTables(base, { ...wanted, groups: moved }, version(2));
  assert.equal(countExceptions(withExceptions(base, next, pins([30_004, 1])).tables), 0);
});

test("B4: what does not fit is refused and counted", () => {
  const many = new Map<FlowKey, NodeId>();
  for (let index = 0; index < MAX_EXCEPTIONS + 10; index++) {
    const source = Uint8Array.of(10, 1, index >> 16, (index >> 8) & 0xff);
    const sourcePort = 1024 + (index & 0xff);
    const destination = Uint8Array.of(10, 0, 0, 100);
    many.set(
      flowKey({ protocol: 6, source, sourcePort, destination, destinationPort: 80 }),
      nodeId(1),
    );
  }
  const { tables, refused } = withExceptions(undefined, first, many);
  assert.equal(countExceptions(tables), MAX_EXCEPTIONS);
  assert.equal(refused, 10);
  assert.equal(withExceptions(tables, first, pins([30_001, 1])).refused, 1);
});

test("B4: of two flows that the packet program cannot tell apart, one is refused", () => {
  const wanted = desired(SLOTS, nodes);
  const services = [
    { protocol: "tcp" as const, vip: ip("10.0.0.1"), port: 80 },
    { protocol: "tcp" as const, vip: ip("10.79.134.201"), port: 81 },
  ];
  const groups = wanted.groups.map((group) => ({ ...group, services }));
  const tables = nextTables(undefined, { ...wanted, groups }, version(1));
  // made to have the same print: the VIPs differ as much as the ports do, the other way round
  const twins = [
    flowKey({
      protocol: 6,
      source: Uint8Array.of(192, 0, 2, 7),
      sourcePort: 5,
      destination: Uint8Array.of(10, 0, 0, 1),
      destinationPort: 80,
    }),
    flowKey({
      protocol: 6,
      source: Uint8Array.of(192, 0, 2, 7),
      sourcePort: 5,
      destination: Uint8Array.of(10, 79, 134, 201),
      destinationPort: 81,
    }),
  ];
  const changes = new Map(twins.map((each) => [each, nodeId(1)]));
  const pinned = withExceptions(undefined, tables, changes);
  assert.deepEqual([countExceptions(pinned.tables), pinned.refused], [1, 1]);
});

test("B4: tables without exceptions and without reports are left as they are", () => {
  assert.equal(withExceptions(first, first, new Map()).tables, first);
});
