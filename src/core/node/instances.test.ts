// Who serves a group by what members have reported of their instances.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId, type NodeId } from "#base/ids.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version } from "#core/steering/testing/desired.ts";
import type { InstanceState } from "#wire/control/health-report.ts";
import type { GroupSpec } from "./cluster-spec.ts";
import { Instances } from "./instances.ts";

const [one, two] = [nodeId(1), nodeId(2)];
const spec: GroupSpec = {
  name: "web",
  policy: "weighted",
  slots: 16,
  services: [],
  nodes: [
    { id: one, weight: 1 },
    { id: two, weight: 1 },
  ],
  assignment: "eager",
  balance: "weights",
  checked: true,
};
const owning = nextTables(undefined, desired(16, [{ id: 1 }]), version(1));

/** Ids of those that serve, after these reports. */
function serving(
  reports: Readonly<Record<number, InstanceState>>,
  change: Partial<GroupSpec> = {},
  serves: (id: number) => boolean = () => true,
): number[] {
  const instances = new Instances();
  for (const [id, state] of Object.entries(reports)) {
    instances.reported(nodeId(Number(id)), {
      groups: [{ name: "web", state, part: 100, reason: "" }],
    });
  }
  const nodes = instances.nodesOf({ ...spec, ...change }, owning, serves);
  return nodes.filter((node) => node.serves).map(({ id }) => id);
}

test("B7: who serves: up; not down; what is unknown goes on as it is", () => {
  assert.deepEqual(serving({ 1: "up", 2: "up" }), [1, 2]);
  assert.deepEqual(serving({ 1: "up", 2: "down" }), [1]);
  assert.deepEqual(
    serving({ 1: "unknown", 2: "unknown" }),
    [1],
    "node 1 owns slots, node 2 does not",
  );
  assert.deepEqual(serving({}), [1], "the same where nobody has reported yet: a new master");
  assert.deepEqual(serving({ 1: "down" }), []);
  assert.deepEqual(serving({ 1: "down", 2: "down" }, { checked: false }), [1, 2], "no checks");
});

test("B7: maintenance and drain take an instance away, whatever its checks say", () => {
  assert.deepEqual(serving({ 1: "up", 2: "up" }, { maintenance: [one] }), [2]);
  assert.deepEqual(serving({ 1: "up", 2: "up" }, { maintenance: [one], checked: false }), [2]);
  assert.deepEqual(
    serving({ 1: "up", 2: "up" }, {}, (id) => id !== 1),
    [2],
  );
});

test("B7: whenNone all: every node that lives serves when all checks fail, and not before", () => {
  const whenNone = { type: "all" } as const;
  assert.deepEqual(serving({ 1: "down", 2: "down" }, { whenNone }), [1, 2]);
  assert.deepEqual(serving({ 1: "down", 2: "up" }, { whenNone }), [2]);
  assert.deepEqual(serving({ 1: "down", 2: "down" }, { whenNone, maintenance: [two] }), [1]);
  assert.deepEqual(serving({ 1: "down", 2: "down" }, { whenNone: { type: "reset" } }), []);
});

test("A14: QUIC packets that name a node go there unless its server is down", () => {
  const instances = new Instances();
  const report = (id: NodeId, state: InstanceState): void =>
    instances.reported(id, { groups: [{ name: "web", state, part: 100, reason: "" }] });
  const living = (change: Partial<GroupSpec> = {}): readonly NodeId[] =>
    instances.livingOf({ ...spec, policy: "quic", ...change });
  assert.deepEqual(living(), [one, two], "nothing is known yet");
  report(one, "unknown");
  report(two, "down");
  assert.deepEqual(living({ maintenance: [one] }), [one], "it keeps what it has");
  assert.deepEqual(living({ checked: false }), [one], "a drain whose deadline is over");
  report(one, "down");
  assert.deepEqual(living(), []);
  assert.deepEqual(living({ whenNone: { type: "all" } }), [one, two]);
  assert.deepEqual(living({ nodes: [{ id: two, weight: 1 }] }), [], "one is not of the group");
});

test("B7: parts of a slow start come with the nodes; a node that departed, or a new master, begins anew", () => {
  const instances = new Instances();
  instances.reported(two, { groups: [{ name: "web", state: "up", part: 30, reason: "" }] });
  const part = (): (number | undefined)[] =>
    instances.nodesOf(spec, owning, () => true).map((node) => node.part);
  assert.deepEqual(part(), [100, 30]);
  instances.departed(two);
  assert.equal(instances.of(two, "web"), undefined);
  instances.reported(two, { groups: [{ name: "web", state: "up", part: 30, reason: "" }] });
  instances.forget();
  assert.deepEqual(part(), [100, 100]);
});
