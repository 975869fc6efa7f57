// A15, A8 where every member filters: whatever is published, delayed and lost, and whoever dies, no slot is ever served by
// two members, and in the end every slot has the owner that it should have. Each member here is a controller of its own
// and serves by the tables that it installed last.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import { Prng } from "#base/prng.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import type { Effect, Input } from "./protocol.ts";
import { groupOf, specOf, viewOf } from "./testing/cluster.ts";

const NODES = [1, 2, 3, 4].map(nodeId);
const SLOTS = 16;

const spec = (weights: readonly number[], lazy: boolean): ClusterSpec =>
  specOf(groupOf(weights, { slots: SLOTS, assignment: lazy ? "lazy" : "eager" }), {
    method: "multicast",
  });

type Message =
  | { readonly to: NodeId; readonly from: NodeId; readonly tables: Tables }
  | { readonly to: NodeId; readonly from: NodeId; readonly ack: Tables["version"] };

/** A cluster without membership: the test says who is a member and who is master. */
class FilteringCluster {
  readonly controllers = new Map<NodeId, Controller>();
  readonly installed = new Map<NodeId, Tables>();
  readonly #prng: Prng;
  #wire: Message[] = [];
  #now = 0;
  #epoch = 0;
  #spec: ClusterSpec;
  members: NodeId[] = [];
  master: NodeId = NO_NODE;
  /** Connected by a wire on which nothing arrives at present. */
  readonly cut = new Set<NodeId>();

  constructor(seed: number, start: ClusterSpec) {
    this.#prng = new Prng(seed);
    this.#spec = start;
  }

  get now(): Instant {
    return instant(this.#now);
  }

  join(id: NodeId): void {
    this.controllers.set(
      id,
      new Controller({ self: id, spec: this.#spec, tables: undefined, hashKey: [1, 2] }),
    );
    this.members.push(id);
    if (this.members.length === 1) this.#rule(id);
    else this.#tellView();
    const tables = this.controllers.get(this.master)?.tables;
    if (tables !== undefined && id !== this.master) {
      this.#wire.push({ to: id, from: this.master, tables });
    }
  }

  die(id: NodeId): void {
    this.members = this.members.filter((each) => each !== id);
    this.controllers.delete(id);
    this.installed.delete(id);
    this.cut.delete(id);
    this.#wire = this.#wire.filter(({ to, from }) => to !== id && from !== id);
    const [next] = this.members;
    if (next === undefined) return;
    if (id === this.master) this.#rule(next);
    else this.#tellView();
  }

  /** The member with the lowest address is the next master; here as in membership it is the secondary. */
  #rule(id: NodeId): void {
    this.master = id;
    this.#epoch += 1;
    this.#wire = [];
    this.#tellView();
    // members connect to the new master: it gives them what it has, or hears that they have it
    for (const other of this.members) this.#connect(other);
  }

  #connect(id: NodeId): void {
    const tables = this.controllers.get(this.master)?.tables;
    if (id !== this.master && tables !== undefined) {
      this.#wire.push({ to: id, from: this.master, tables });
    }
  }

  heal(): void {
    for (const id of this.cut) this.#connect(id);
    this.cut.clear();
  }

  change(next: ClusterSpec): void {
    this.#spec = next;
    for (const id of [...this.members]) this.#step(id, { type: "spec-changed", spec: next });
  }

  #tellView(): void {
    const order = [this.master, ...this.members.filter((id) => id !== this.master)];
    for (const id of order) {
      const role = id === this.master ? "master" : "member";
      const view = viewOf(this.members, { role, epoch: this.#epoch, master: this.master });
      this.#step(id, { type: "view-changed", view });
    }
  }

  #step(id: NodeId, input: Input): void {
    const controller = this.controllers.get(id);
    if (controller === undefined) return;
    for (const effect of controller.step(this.now, input)) this.#perform(id, effect);
  }

  #perform(id: NodeId, effect: Effect): void {
    if (effect.type === "install-tables") {
      this.installed.set(id, effect.tables);
      this.check();
    } else if (effect.type === "replicate-tables") {
      for (const to of this.members) {
        const isWithheld = effect.withheld.includes(to);
        if (to !== id && !isWithheld) this.#wire.push({ to, from: id, tables: effect.tables });
      }
    } else if (effect.type === "release-tables") {
      for (const to of effect.to) this.#wire.push({ to, from: id, tables: effect.tables });
    } else if (effect.type === "acknowledge-tables") {
      this.#wire.push({ to: this.master, from: id, ack: effect.version });
    }
  }

  /** One message of a random connection arrives, in the order of that connection; or nothing is left to arrive. */
  arrive(): boolean {
    const open = this.#wire.filter(({ to, from }) => !this.cut.has(to) && !this.cut.has(from));
    if (open.length === 0) return false;
    const picked = this.#prng.pick(open);
    const first = this.#wire.find(({ to, from }) => to === picked.to && from === picked.from);
    assert.ok(first);
    this.#wire.splice(this.#wire.indexOf(first), 1);
    const { to } = first;
    if ("tables" in first) this.#step(to, { type: "tables-received", tables: first.tables });
    else this.#step(to, { type: "tables-acknowledged", id: first.from, version: first.ack });
    return true;
  }

  pass(ms: number): void {
    this.#now += ms;
    for (const [id, { deadline }] of [...this.controllers]) {
      if (deadline !== undefined && deadline <= this.#now)
        this.#step(id, { type: "deadline-reached" });
    }
  }

  want(slot: number): void {
    this.#step(this.master, { type: "slots-wanted", slots: [{ group: "web", slot }] });
  }

  /** Everything arrives, and every wait ends. */
  settle(): void {
    for (let round = 0; round < 20; round++) {
      while (this.arrive());
      this.pass(300);
    }
  }

  serving(slot: number): NodeId[] {
    return [...this.installed]
      .filter(([id, tables]) => tables.groups[0]?.owners[slot] === id)
      .map(([id]) => id);
  }

  check(): void {
    for (let slot = 0; slot < SLOTS; slot++) {
      const serving = this.serving(slot);
      assert.ok(serving.length <= 1, `slot ${slot} is served by ${serving.join(" and ")}`);
    }
  }
}

type Act =
  | { readonly act: "join" | "die" | "cut" | "want"; readonly which: number }
  | { readonly act: "weights"; readonly weights: readonly number[] }
  | { readonly act: "arrive"; readonly times: number }
  | { readonly act: "heal" | "wait" };

const which = fc.nat({ max: SLOTS - 1 });
const acts: fc.Arbitrary<Act[]> = fc.array(
  fc.oneof(
    {
      weight: 4,
      arbitrary: fc.record({ act: fc.constant("arrive" as const), times: fc.nat({ max: 8 }) }),
    },
    { weight: 3, arbitrary: fc.record({ act: fc.constantFrom("join", "want"), which }) },
    { weight: 2, arbitrary: fc.record({ act: fc.constantFrom("die", "cut"), which }) },
    {
      weight: 2,
      arbitrary: fc.record({
        act: fc.constant("weights" as const),
        weights: fc.array(fc.nat({ max: 3 }), { minLength: 4, maxLength: 4 }),
      }),
    },
    { weight: 3, arbitrary: fc.record({ act: fc.constantFrom("heal" as const, "wait" as const) }) },
  ),
  { maxLength: 40 },
);

function play(cluster: FilteringCluster, act: Act, lazy: boolean): void {
  switch (act.act) {
    case "join": {
      const absent = NODES.filter((id) => !cluster.members.includes(id));
      const id = absent[act.which % Math.max(absent.length, 1)];
      if (id !== undefined) cluster.join(id);
      return;
    }
    case "die": {
      if (cluster.members.length < 2) return;
      cluster.die(cluster.members[act.which % cluster.members.length] ?? NO_NODE);
      return;
    }
    case "cut":
      cluster.cut.add(cluster.members[act.which % cluster.members.length] ?? NO_NODE);
      return;
    case "want":
      return cluster.want(act.which);
    case "weights":
      return cluster.change(spec(act.weights, lazy));
    case "arrive":
      for (let i = 0; i < act.times; i++) cluster.arrive();
      return;
    case "heal":
      return cluster.heal();
    case "wait":
      return cluster.pass(300);
  }
}

for (const lazy of [false, true]) {
  const kind = lazy ? "lazy" : "eager";
  test(`A15: no slot is served by two members, and in the end all agree (${kind})`, () => {
    fc.assert(
      fc.property(fc.nat(), acts, (seed, script) => {
        const cluster = new FilteringCluster(seed, spec([1, 1, 1, 1], lazy));
        cluster.join(nodeId(1));
        cluster.join(nodeId(2));
        cluster.settle();
        for (const act of script) {
          play(cluster, act, lazy);
          cluster.check();
        }
        cluster.heal();
        cluster.change(spec([2, 1, 1, 1], lazy));
        cluster.settle();
        if (lazy) for (let slot = 0; slot < SLOTS; slot++) cluster.want(slot);
        cluster.settle();
        for (let slot = 0; slot < SLOTS; slot++) {
          assert.equal(cluster.serving(slot).length, 1, `slot ${slot} is served by nobody`);
        }
      }),
      { numRuns: 200 },
    );
  });
}
