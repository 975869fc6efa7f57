// A8, B4: what reports of members make a master do, once a round.
import assert from "node:assert/strict";
import { test } from "node:test";
import { NO_NODE, NO_TABLES, nodeId, type NodeId, type TableVersion } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import type { Balance } from "#base/assignment.ts";
import type { GroupReport } from "#wire/control/slot-report.ts";
import { FORMER_OWNERS, type GroupTable } from "#core/steering/tables.ts";
import { ROUND_MS } from "./balancing.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import type { Effect } from "./protocol.ts";
import { groupOf, specOf, viewOf } from "./testing/cluster.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;

const spec = (balance: Balance, weights: readonly number[] = [1, 1, 1]): ClusterSpec =>
  specOf(groupOf(weights, { balance }));

class Master {
  readonly controller: Controller;
  #now = 0;
  #ids: readonly NodeId[] = [];

  constructor(start: ClusterSpec) {
    this.controller = new Controller({ self: N1, spec: start, tables: undefined, hashKey: [1, 2] });
  }

  get now(): Instant {
    return instant(this.#now);
  }

  get group(): GroupTable {
    const [group] = this.controller.tables?.groups ?? [];
    assert.ok(group);
    return group;
  }

  get version(): TableVersion {
    return this.controller.tables?.version ?? NO_TABLES;
  }

  members(ids: readonly NodeId[]): void {
    this.#ids = ids;
    this.controller.step(this.now, { type: "view-changed", view: viewOf(ids, { master: N1 }) });
    this.settle();
  }

  /** Everybody acknowledges until nothing new is published. */
  settle(): void {
    for (let round = 0; round < 5; round++) {
      const { version } = this;
      for (const id of this.#ids.filter((each) => each !== N1)) {
        this.controller.step(this.now, { type: "tables-acknowledged", id, version });
      }
    }
  }

  change(next: ClusterSpec): void {
    this.controller.step(this.now, { type: "spec-changed", spec: next });
    this.settle();
  }

  report(id: NodeId, group: Partial<GroupReport>, tables = this.version): void {
    const groups = [{ name: "web", rates: [], unused: [], ...group }];
    this.controller.step(this.now, {
      type: "slots-reported",
      id,
      report: { tables, groups },
    });
  }

  round(): Effect[] {
    this.#now += ROUND_MS;
    const effects = this.controller.step(this.now, { type: "deadline-reached" });
    this.settle();
    return effects;
  }

  owned(id: NodeId): number[] {
    return [...this.group.owners.keys()].filter((slot) => this.group.owners[slot] === id);
  }

  former(slot: number): number[] {
    const chain = this.group.former.subarray(slot * FORMER_OWNERS, (slot + 1) * FORMER_OWNERS);
    return [...chain].filter((id) => id !== NO_NODE);
  }
}

function measured(): Master {
  const master = new Master(spec("packets"));
  master.members([N1]);
  master.members([N1, N2, N3]);
  return master;
}

const rates = (slots: readonly number[], rate: number) => slots.map((slot) => ({ slot, rate }));

/** All members report: every slot has the same load. */
function reportAll(master: Master, rate = 100): void {
  for (const id of [N1, N2, N3]) master.report(id, { rates: rates(master.owned(id), rate) });
}

test("A8: a node that joins a measured group is filled slot by slot, one each round", () => {
  const master = measured();
  assert.equal(master.owned(N1).length, 16, "nothing moves at once");
  const filled: number[] = [];
  for (let round = 0; round < 30; round++) {
    reportAll(master);
    master.round();
    filled.push(master.owned(N2).length + master.owned(N3).length);
  }
  assert.deepEqual(filled.slice(0, 4), [1, 2, 3, 4]);
  assert.deepEqual(
    [N1, N2, N3].map((id) => master.owned(id).length).toSorted((a, b) => a - b),
    [5, 5, 6],
  );
  assert.equal(filled.at(-1), filled.at(-10), "it has come to rest");
});

test("A8: nothing moves before every member has reported, or when one has not reported lately", () => {
  const master = measured();
  master.report(N1, { rates: rates(master.owned(N1), 100) });
  master.report(N2, {});
  master.round();
  assert.equal(master.owned(N1).length, 16);
  master.report(N3, {});
  master.round();
  assert.equal(master.owned(N1).length, 15);
  for (let round = 0; round < 3; round++) {
    master.report(N1, { rates: rates(master.owned(N1), 100) });
    master.round();
  }
  const before = master.owned(N1).length;
  master.report(N1, { rates: rates(master.owned(N1), 100) });
  master.round();
  assert.equal(master.owned(N1).length, before, "the others have been silent for four rounds");
});

test("A8: a dead member's slots go to the least loaded, and stay there when it returns", () => {
  const master = measured();
  for (let round = 0; round < 30; round++) {
    reportAll(master);
    master.round();
  }
  const lost = master.owned(N3);
  master.members([N1, N2]);
  assert.deepEqual([master.owned(N1).length, master.owned(N2).length], [8, 8]);
  master.members([N1, N2, N3]);
  assert.deepEqual(master.owned(N3), []);
  assert.ok(lost.length > 0);
});

test("B4: a former owner without connections in a slot is forgotten, by a report about the present tables only", () => {
  const master = new Master(spec("weights"));
  master.members([N1]);
  master.members([N1, N2]);
  const slot = master.owned(N2)[0] ?? 0;
  assert.deepEqual(master.former(slot), [N1]);
  master.report(N1, { unused: [slot] }, { ...master.version, counter: 1 });
  master.round();
  assert.deepEqual(master.former(slot), [N1], "what it saw under older tables says nothing");
  master.report(N1, { unused: [slot] });
  const effects = master.round();
  assert.deepEqual(master.former(slot), []);
  assert.ok(effects.some(({ type }) => type === "replicate-tables"));
  assert.ok(master.former(master.owned(N2)[1] ?? 0).includes(N1), "others are kept");
});

test("B4: an owner of today is never forgotten by what it said before it got the slot back", () => {
  const master = new Master(spec("weights"));
  master.members([N1]);
  master.members([N1, N2]);
  const slot = master.owned(N2)[0] ?? 0;
  master.report(N1, { unused: [slot] });
  master.members([N1]);
  master.members([N1, N2]);
  assert.equal(master.group.owners[slot], N2);
  master.round();
  assert.deepEqual(master.former(slot), [N1]);
});

test("B4: a slot whose chain is full waits for room, and then moves", () => {
  const ids = [1, 2, 3, 4, 5].map(nodeId);
  const only = (chosen: NodeId): ClusterSpec => {
    const start = spec("weights");
    const nodes = ids.map((id) => ({ id, weight: id === chosen ? 1 : 0 }));
    return { ...start, groups: start.groups.map((group) => ({ ...group, nodes })) };
  };
  const master = new Master(only(N1));
  master.members([N1]);
  master.members(ids);
  for (const id of ids.slice(1, 3)) master.change(only(id));
  assert.deepEqual([master.group.owners[0], ...master.former(0)], [3, 2, 1]);
  master.change(only(nodeId(4)));
  assert.equal(master.group.owners[0], 3, "one place is left, for a death");
  assert.equal(master.controller.waitingMoves, 16);
  master.report(N2, { unused: [0] });
  master.round();
  assert.deepEqual([master.group.owners[0], ...master.former(0)], [4, 3, 1]);
  assert.equal(master.controller.waitingMoves, 15);
});
