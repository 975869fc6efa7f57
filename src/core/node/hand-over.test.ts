// A15, A18 where every member filters (docs/adr/0012): who hears of a slot's new owner before whom, and what a new master leaves alone.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_TABLES, nodeId, type NodeId } from "#base/ids.ts";
import { ip, ipBytes } from "#base/address.ts";
import { instant } from "#base/time.ts";
import { flowKey } from "#wire/flow-key.ts";
import type { View } from "#core/membership/types.ts";
import type { Tables } from "#core/steering/tables.ts";
import { ROUND_MS } from "./balancing.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import type { Effect } from "./protocol.ts";
import { GATHER_MS } from "./pinning.ts";
import { ACKNOWLEDGE_MS } from "./publication.ts";
import { groupOf, specOf, viewOf, VIP } from "./testing/cluster.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const ALL = [N1, N2, N3];

const spec = (weights: readonly number[], slots = 4): ClusterSpec =>
  specOf(groupOf(weights, { slots }), { method: "multicast" });

const view = (master: NodeId, members: readonly NodeId[], self: NodeId, epoch = 1): View =>
  viewOf(members, { role: master === self ? "master" : "member", epoch, master });

/** What a master does, and what its members say to it. */
class Master {
  readonly controller: Controller;
  nowMs = 0;
  done: Effect[] = [];

  constructor(self: NodeId, start: ClusterSpec, tables?: Tables) {
    this.controller = new Controller({ self, spec: start, tables, hashKey: [1, 2] });
  }

  step(input: Parameters<Controller["step"]>[1]): void {
    this.done = this.controller.step(instant(this.nowMs), input);
  }

  acknowledge(id: NodeId): void {
    const version = this.controller.tables?.version ?? NO_TABLES;
    this.step({ type: "tables-acknowledged", id, version });
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.step({ type: "deadline-reached" });
  }

  /** Everything that is waited for comes. */
  settle(members: readonly NodeId[]): void {
    for (let round = 0; round < 6; round++) for (const id of members) this.acknowledge(id);
  }

  get owners(): number[] {
    return [...(this.controller.tables?.groups[0]?.owners ?? [])];
  }

  /** Short words for what has just been done with tables. */
  get words(): string[] {
    return this.done.flatMap((effect) => {
      if (effect.type === "install-tables") return ["install"];
      if (effect.type === "replicate-tables") return [`all but ${effect.withheld.join()}`];
      return effect.type === "release-tables" ? [`now ${effect.to.join()}`] : [];
    });
  }
}

function settled(weights: readonly number[]): Master {
  const master = new Master(N1, spec(weights));
  master.step({ type: "view-changed", view: view(N1, ALL, N1) });
  master.settle([N2, N3]);
  return master;
}

test("A15: the old owner hears of the new one when that one has acknowledged", () => {
  const master = settled([0, 1, 0]);
  assert.deepEqual(master.owners, [2, 2, 2, 2]);
  master.step({ type: "spec-changed", spec: spec([0, 0, 1]) });
  assert.deepEqual(master.owners, [0, 0, 0, 0]);
  assert.deepEqual(master.words, ["install", "all but "], "nobody loses anything by letting go");
  master.acknowledge(N2);
  assert.deepEqual(master.words, []);
  master.acknowledge(N3);
  assert.deepEqual(master.owners, [3, 3, 3, 3]);
  assert.deepEqual(master.words, ["all but 2"]);
  master.acknowledge(N3);
  assert.deepEqual(master.words, ["install", "now 2"]);
});

test("A15: a new owner that does not acknowledge is waited for no longer than any member", () => {
  const master = settled([0, 1, 0]);
  master.step({ type: "spec-changed", spec: spec([0, 0, 1]) });
  master.settle([N2]);
  master.acknowledge(N3);
  assert.deepEqual(master.words, ["all but 2"]);
  master.wait(ACKNOWLEDGE_MS - 1);
  assert.deepEqual(master.words, []);
  master.wait(1);
  assert.deepEqual(master.words, ["install", "now 2"]);
  master.wait(ACKNOWLEDGE_MS - 1);
  master.acknowledge(N2);
  assert.equal(master.controller.waitingMoves, 0, "who heard of it late had its own time");
});

test("A15: the master itself keeps what comes for its slots until the new owner has them", () => {
  const master = settled([1, 0, 0]);
  master.step({ type: "spec-changed", spec: spec([0, 0, 1]) });
  assert.deepEqual(master.words, ["install", "all but "]);
  master.acknowledge(N2);
  master.acknowledge(N3);
  assert.deepEqual(master.words, ["all but "], "the master does not install yet");
  master.acknowledge(N3);
  assert.deepEqual(master.words, ["install"]);
});

test("A15: who dies before it acknowledges is not waited for, and its slots go on to another", () => {
  const master = settled([0, 1, 0]);
  master.step({ type: "spec-changed", spec: spec([0, 0, 1]) });
  master.acknowledge(N2);
  master.acknowledge(N3);
  master.step({ type: "spec-changed", spec: spec([1, 0, 1]) });
  master.step({ type: "view-changed", view: view(N1, [N1, N2], N1) });
  assert.deepEqual(master.owners, [1, 1, 1, 1]);
  assert.deepEqual(master.words, ["install", "all but "]);
});

test("A18: what a member would do as master can be rehearsed, and nothing comes of it", () => {
  const { tables } = settled([1, 1, 1]).controller;
  assert.ok(tables !== undefined);
  const heir = new Master(N2, spec([1, 1, 1]));
  heir.step({ type: "view-changed", view: view(N1, ALL, N2) });
  assert.deepEqual(heir.controller.rehearse(instant(0)), []);
  heir.step({ type: "tables-received", tables });
  const [before, deadline] = [heir.owners, heir.controller.deadline];
  const rehearsed = heir.controller
    .rehearse(instant(0))
    .flatMap((effect) =>
      effect.type === "replicate-tables" ? [[...(effect.tables.groups[0]?.owners ?? [])]] : [],
    );
  assert.deepEqual([heir.owners, heir.controller.deadline], [before, deadline]);
  heir.step({ type: "view-changed", view: view(N2, [N2, N3], N2, 2) });
  assert.deepEqual(rehearsed[0], heir.owners);
  heir.wait(ROUND_MS);
  heir.settle([N3]);
  assert.deepEqual(rehearsed.at(-1), heir.owners);
  assert.deepEqual(heir.controller.rehearse(instant(0)), [], "who is master has no master to lose");
});

test("A18, A8: a new master serves what the dead one did, and moves nothing in its first two seconds", () => {
  const { tables } = settled([1, 1, 1]).controller;
  assert.ok(tables !== undefined);
  const heir = new Master(N2, spec([1, 1, 1]));
  heir.step({ type: "view-changed", view: view(N1, ALL, N2) });
  heir.step({ type: "tables-received", tables });
  const before = heir.owners;
  heir.step({ type: "view-changed", view: view(N2, [N2, N3], N2, 2) });
  const takenOver = before.map((owner) => (owner === N1 ? N2 : owner));
  assert.deepEqual(heir.owners, takenOver);
  heir.settle([N3]);
  heir.step({ type: "view-changed", view: view(N2, ALL, N2, 2) });
  heir.settle([N1, N3]);
  assert.deepEqual(heir.owners, takenOver, "also when the dead one is back");
  assert.ok(heir.controller.waitingMoves > 0);
  heir.wait(ROUND_MS - 1);
  assert.deepEqual(heir.owners, takenOver);
  heir.wait(1);
  assert.ok(heir.owners.includes(0), "slots are let go");
  heir.settle([N1, N3]);
  assert.deepEqual(heir.owners, before);
});

test("A15, B4: a former owner stays in the chain while the slot's owner does not know what is pinned in it", () => {
  const master = settled([0, 1, 0]);
  master.step({ type: "spec-changed", spec: spec([0, 0, 1]) });
  for (let round = 0; round < 4; round++) {
    master.settle([N2, N3]);
    master.wait(ACKNOWLEDGE_MS);
  }
  const former = (): number[] => [...(master.controller.tables?.groups[0]?.former ?? [])];
  assert.deepEqual([master.owners, former().includes(N2)], [[3, 3, 3, 3], true]);
  const says = (tables = master.controller.tables?.version ?? NO_TABLES): void => {
    const groups = [{ name: "web", unused: [0, 1, 2, 3], rates: [] }];
    master.step({ type: "slots-reported", id: N2, report: { tables, groups } });
    master.wait(GATHER_MS);
  };
  const flow = flowKey({
    ...{ protocol: 6, source: ipBytes(ip("192.0.2.7")), sourcePort: 40_000 },
    ...{ destination: ipBytes(VIP), destinationPort: 80 },
  });
  const tables = master.controller.tables?.version ?? NO_TABLES;
  const report = { tables, established: [flow], ended: [] };
  master.step({ type: "flows-reported", id: N2, report });
  master.wait(GATHER_MS);
  assert.deepEqual(master.controller.tables?.groups[0]?.exceptions.flows, [flow]);
  master.acknowledge(N2);
  says();
  master.wait(ACKNOWLEDGE_MS);
  assert.ok(former().includes(N2), "the owner has not acknowledged");
  says();
  assert.ok(former().includes(N2), "nor is it waited for any more");
  master.acknowledge(N3);
  says();
  assert.ok(!former().includes(N2));
});
