// B4: a master pins what its members report, forgets what has ended, and lets slots move on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId, type NodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { FORMER_OWNERS, type Tables } from "#core/steering/tables.ts";
import { keyOf } from "#core/steering/testing/pinned.ts";
import type { FlowKey } from "#wire/flow-key.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import { GATHER_MS } from "./pinning.ts";
import type { Effect } from "./protocol.ts";
import { groupOf, specOf, viewOf, VIP } from "./testing/cluster.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const flow = (port: number): FlowKey => keyOf({ from: ["192.0.2.7", port], to: [VIP, 80] });

const spec = (weights: readonly number[]): ClusterSpec => specOf(groupOf(weights, { slots: 2 }));

/** A master whose members acknowledge at once. */
class Scene {
  readonly self: NodeId;
  readonly controller: Controller;
  #ids: readonly NodeId[];
  now = 0;

  constructor(self: NodeId, ids: readonly NodeId[], epoch: number, tables?: Tables) {
    this.self = self;
    this.#ids = ids;
    this.controller = new Controller({ self, spec: spec([1, 0, 0]), tables, hashKey: [1, 2] });
    this.controller.step(instant(0), {
      type: "view-changed",
      view: viewOf(ids, { master: self, epoch }),
    });
    this.settle();
  }

  get tables(): Tables {
    assert.ok(this.controller.tables);
    return this.controller.tables;
  }

  get pinned(): (readonly [FlowKey, number])[] {
    return this.tables.groups.flatMap(({ exceptions: { flows, nodes } }) =>
      flows.map((each, index) => [each, nodes[index] ?? 0] as const),
    );
  }

  /** Of slot 0: the owner and those before it. */
  get chain(): number[] {
    const [group] = this.tables.groups;
    return [group?.owners[0] ?? 0, ...(group?.former.subarray(0, FORMER_OWNERS) ?? [])];
  }

  settle(): void {
    for (let round = 0; round < 5; round++) {
      const { version } = this.tables;
      for (const id of this.#ids.filter((each) => each !== this.self)) {
        this.controller.step(instant(this.now), { type: "tables-acknowledged", id, version });
      }
    }
  }

  weights(...weights: readonly number[]): void {
    this.controller.step(instant(this.now), { type: "spec-changed", spec: spec(weights) });
    this.settle();
  }

  says(
    id: NodeId,
    established: readonly FlowKey[],
    ended: readonly FlowKey[] = [],
    unused: readonly number[] = [],
  ): void {
    const tables = this.tables.version;
    this.controller.step(instant(this.now), {
      type: "flows-reported",
      id,
      report: { tables, established, ended },
    });
    if (unused.length === 0) return;
    const groups = [{ name: "web", rates: [], unused }];
    this.controller.step(instant(this.now), {
      type: "slots-reported",
      id,
      report: { tables, groups },
    });
  }

  later(): Effect[] {
    this.now += GATHER_MS;
    const effects = this.controller.step(instant(this.now), { type: "deadline-reached" });
    this.settle();
    return effects;
  }
}

function moved(): Scene {
  const scene = new Scene(N1, [N1, N2, N3], 1);
  scene.weights(0, 1, 0);
  assert.deepEqual(scene.chain, [2, 1, 0, 0]);
  return scene;
}

test("B4: reports that come together are published together, soon, and to every member", () => {
  const scene = moved();
  scene.says(N1, [flow(1)]);
  scene.says(N3, [flow(2), flow(3)]);
  assert.deepEqual(scene.pinned, []);
  assert.equal(scene.controller.deadline, instant(GATHER_MS));
  const effects = scene.later();
  assert.ok(effects.some(({ type }) => type === "replicate-tables"));
  assert.deepEqual(scene.pinned, [
    [flow(1), 1],
    [flow(2), 3],
    [flow(3), 3],
  ]);
  assert.deepEqual(scene.controller.assignment.exceptions, { count: 3, refused: 0 });
});

test("B4: a slot moves on as often as it is told to: its old connections are pinned, and its chain is short", () => {
  const scene = moved();
  const owners = [N2, N3, N1];
  let before: NodeId = N1;
  for (let move = 0; move < 12; move++) {
    const owner = owners[move % 3] ?? N1;
    assert.equal(scene.chain[0], owner, `move ${move}: it did not wait`);
    scene.says(before, [flow(100 + move)]);
    scene.later();
    scene.says(before, [], [], [0, 1]);
    scene.later();
    assert.deepEqual(scene.chain, [owner, 0, 0, 0]);
    before = owner;
    const next = owners[(move + 1) % 3] ?? N1;
    scene.weights(...[N1, N2, N3].map((id) => (id === next ? 1 : 0)));
  }
  assert.equal(scene.pinned.length, 12);
});

test("B4: an exception goes when its node says that the connection has ended, and not when another one says so", () => {
  const scene = moved();
  scene.says(N1, [flow(1), flow(2)]);
  scene.later();
  scene.says(N3, [], [flow(1)]);
  scene.later();
  assert.equal(scene.pinned.length, 2);
  scene.says(N1, [], [flow(1)]);
  scene.later();
  assert.deepEqual(scene.pinned, [[flow(2), 1]]);
});

test("B4: what has ended by older tables is asked about again", () => {
  const scene = moved();
  scene.says(N1, [flow(1)]);
  scene.later();
  const old = scene.tables.version;
  scene.weights(0, 0, 1);
  const report = { tables: old, established: [flow(7)], ended: [flow(1)] };
  scene.controller.step(instant(scene.now), { type: "flows-reported", id: N1, report });
  scene.later();
  assert.deepEqual(scene.pinned, [
    [flow(1), 1],
    [flow(7), 1],
  ]);
});

test("B4, B9: whoever takes over from a dead master goes on with its exceptions; those of the dead node go", () => {
  const scene = moved();
  scene.says(N1, [flow(1)]);
  scene.says(N3, [flow(3)]);
  scene.later();
  const heir = new Scene(N2, [N2, N3], 2, scene.tables);
  assert.deepEqual(heir.pinned, [
    [flow(1), 1],
    [flow(3), 3],
  ]);
  heir.controller.step(instant(0), { type: "departure-confirmed", id: N1, reason: "silent" });
  heir.settle();
  assert.deepEqual(heir.pinned, [[flow(3), 3]]);
});
