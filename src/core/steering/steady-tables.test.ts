// Tables that are computed only when something has changed are those that would have been computed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import { type Desired, type DesiredGroup, nextTables } from "./next-tables.ts";
import { SteadyTables } from "./steady-tables.ts";
import type { Tables } from "./tables.ts";

const VIP = ip("10.77.0.100");
const [ONE, TWO, THREE] = [nodeId(1), nodeId(2), nodeId(3)];
const version = (counter: number) => ({ epoch: 1, counter, master: ONE });
const rowOf = (id: NodeId) => ({ id, mac: mac(`02:00:00:00:00:0${id}`) });

const group = (changed: Partial<DesiredGroup> = {}): DesiredGroup => ({
  ...{ name: "web", policy: "weighted", slots: 8, assignment: "eager", balance: "weights" },
  services: [{ protocol: "tcp", vip: VIP, port: 80 }],
  nodes: [ONE, TWO].map((id) => ({ id, weight: 10, serves: true })),
  loads: new Float64Array(),
  ...changed,
});

const desired = (changed: Partial<Desired> = {}): Desired => ({
  ...{ method: "forward", hash: "keyed", hashKey: [1, 2], vips: [VIP] },
  nodes: [rowOf(ONE), rowOf(TWO)],
  groups: [group()],
  ...changed,
});

/** Of every field of a group that tables follow from, so that one that is added has to be added here, too. */
const OTHER_GROUPS: Record<keyof DesiredGroup, Partial<DesiredGroup>> = {
  name: { name: "other" },
  policy: { policy: "sticky" },
  slots: { slots: 16 },
  services: { services: [{ protocol: "udp", vip: VIP, port: 80 }] },
  nodes: { nodes: [{ id: ONE, weight: 10, serves: true }] },
  assignment: { assignment: "lazy", nodes: [{ id: ONE, weight: 10, serves: true }] },
  balance: { balance: "bytes", loads: Float64Array.of(9, 0, 0, 0, 0, 0, 0, 0) },
  udpIdleMs: { udpIdleMs: 5 },
  named: { policy: "quic", named: [ONE] },
  loads: { balance: "bytes", loads: Float64Array.of(9, 9, 0, 0, 0, 0, 0, 0) },
  ordered: { ordered: true },
  sorry: { nodes: [], sorry: THREE },
  answer: { nodes: [], answer: "drop" },
};

const OTHERS: Record<keyof Desired, Partial<Desired>> = {
  method: { method: "igmp" },
  primary: { primary: ip("10.77.0.101"), vips: [VIP, ip("10.77.0.101")] },
  hash: { hash: "xor" },
  hashKey: { hashKey: [3, 4] },
  vips: { vips: [VIP, ip("10.77.0.9")] },
  nodes: { nodes: [rowOf(ONE), rowOf(THREE)] },
  groups: { groups: [] },
};

test("B8: the same desired state again keeps the groups as they are, and takes the new version", () => {
  const steady = new SteadyTables();
  const first = steady.next(undefined, desired(), version(1));
  const again = steady.next(first, desired(), version(2));
  assert.equal(again.groups, first.groups);
  assert.deepEqual(again, { ...nextTables(first, desired(), version(2), "left") });
});

test("B8: any other desired state is computed", () => {
  const changes: Partial<Desired>[] = Object.values(OTHERS);
  for (const changed of Object.values(OTHER_GROUPS)) changes.push({ groups: [group(changed)] });
  for (const changed of changes) {
    const steady = new SteadyTables();
    const first = steady.next(undefined, desired(), version(1));
    const now = steady.next(first, desired(changed), version(2));
    assert.deepEqual(now, nextTables(first, desired(changed), version(2), "left"));
    assert.notEqual(now.groups, first.groups, JSON.stringify(changed));
  }
});

test("A15: tables that others have changed meanwhile are not those of the last time", () => {
  const steady = new SteadyTables();
  const first = steady.next(undefined, desired(), version(1));
  const groups = first.groups.map((table) => ({ ...table, owners: table.owners.map(() => TWO) }));
  const other: Tables = { ...first, groups };
  assert.deepEqual(
    steady.next(other, desired(), version(2)),
    nextTables(other, desired(), version(2), "left"),
  );
});
