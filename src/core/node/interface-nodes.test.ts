// B10: VIPs over several interface nodes, as a master publishes them and as members act on it. Every step is looked at from all nodes at
// once: whatever tables each has, no VIP has two that answer for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { View } from "#core/membership/types.ts";
import type { Tables } from "#core/steering/tables.ts";
import { ROUND_MS } from "./balancing.ts";
import type { ClusterSpec, InterfaceNodesSpec } from "./cluster-spec.ts";
import { Controller } from "./controller.ts";
import type { Effect, Input } from "./protocol.ts";
import { ACKNOWLEDGE_MS } from "./publication.ts";
import { groupOf, specOf, viewOf } from "./testing/cluster.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const ALL = [N1, N2, N3];
const VIPS = [100, 101, 102].map((last) => ip(`10.0.0.${last}`));
const EVEN = { nodes: ALL.map((id) => ({ id, weight: 1 })), ranked: [] };

const spread = (change: Partial<ClusterSpec> = {}): ClusterSpec =>
  specOf(groupOf([1, 1, 1]), { vips: VIPS, interfaceNodes: EVEN, ...change });

/** Three controllers and the wires between them; what is sent to a node in `deaf` is kept for it. */
class Cluster {
  readonly nodes: ReadonlyMap<NodeId, Controller>;
  readonly installed = new Map<NodeId, Tables>();
  readonly placed = new Map<NodeId, readonly string[]>();
  readonly announced: string[] = [];
  readonly deaf = new Set<NodeId>();
  readonly dead = new Set<NodeId>();
  /** Most that have answered for a VIP at one moment. */
  most = 0;
  nowMs = 0;
  #epoch = 1;
  #master = N1;
  #wire: { to: NodeId; input: Input }[] = [];

  constructor(spec: ClusterSpec) {
    this.nodes = new Map(
      ALL.map((self) => [self, new Controller({ self, spec, tables: undefined, hashKey: [1, 2] })]),
    );
  }

  /** Every node hears who is there, the master first. */
  meet(master: NodeId, members: readonly NodeId[], secondary = NO_NODE): void {
    if (master !== this.#master) this.#epoch += 1;
    this.#master = master;
    for (const id of [master, ...members.filter((member) => member !== master)]) {
      const role = id === master ? "master" : "member";
      const view: View = viewOf(members, { role, master, epoch: this.#epoch, secondary });
      this.step(id, { type: "view-changed", view });
    }
    this.run();
  }

  step(id: NodeId, input: Input): void {
    if (this.dead.has(id)) return;
    for (const effect of this.nodes.get(id)?.step(instant(this.nowMs), input) ?? []) {
      this.#perform(id, effect);
    }
    const counts = VIPS.map((vip) => this.answering(vip).length);
    this.most = Math.max(this.most, ...counts);
  }

  everywhere(input: Input): void {
    for (const id of ALL) this.step(id, input);
    this.run();
  }

  wait(ms: number): void {
    this.nowMs += ms;
    this.everywhere({ type: "deadline-reached" });
  }

  run(): void {
    for (let turns = 0; turns < 200; turns++) {
      const at = this.#wire.findIndex(({ to }) => !this.deaf.has(to));
      const [message] = at === -1 ? [] : this.#wire.splice(at, 1);
      if (message === undefined) return;
      this.step(message.to, message.input);
    }
    assert.fail("it never comes to rest");
  }

  /** By the tables that each has; a master that has none of these answers for all. */
  answering(vip: (typeof VIPS)[number]): NodeId[] {
    return ALL.filter((id) => {
      const tables = this.installed.get(id);
      if (this.dead.has(id) || tables === undefined) return false;
      const { vips, vipHolders } = tables;
      return vipHolders === undefined
        ? id === this.#master
        : vipHolders.holders[vips.indexOf(vip)] === id;
    });
  }

  get holders(): NodeId[] {
    return VIPS.map((vip) => {
      const [holder = NO_NODE, ...more] = this.answering(vip);
      assert.deepEqual(more, []);
      return holder;
    });
  }

  /** What a master does with a member that connects to it. */
  #bringUpToDate(id: NodeId): void {
    const tables = this.nodes.get(this.#master)?.tables;
    if (tables === undefined) return;
    this.#wire.push({ to: id, input: { type: "tables-received", tables } });
  }

  #perform(id: NodeId, effect: Effect): void {
    const acknowledged = (version: Tables["version"]): void => {
      this.#wire.push({ to: this.#master, input: { type: "tables-acknowledged", id, version } });
    };
    if (effect.type === "install-tables") this.installed.set(id, effect.tables);
    if (effect.type === "place-vips") this.placed.set(id, effect.answered);
    if (effect.type === "announce-vips" && effect.vips.length > 0) {
      this.announced.push(`${id}: ${effect.vips.map((vip) => vip.slice(-3)).join()}`);
    }
    if (effect.type === "acknowledge-tables") acknowledged(effect.version);
    if (effect.type === "follow" && effect.master !== undefined) this.#bringUpToDate(id);
    if (effect.type !== "replicate-tables" && effect.type !== "release-tables") return;
    const { tables } = effect;
    for (const to of ALL) {
      const isFor =
        effect.type === "release-tables" ? effect.to.includes(to) : !effect.withheld.includes(to);
      if (to !== id && isFor) this.#wire.push({ to, input: { type: "tables-received", tables } });
    }
  }
}

function settled(spec = spread()): Cluster {
  const cluster = new Cluster(spec);
  cluster.meet(N1, [N1], NO_NODE);
  cluster.meet(N1, ALL, N2);
  cluster.wait(ROUND_MS);
  return cluster;
}

test("B10: VIPs are spread over the members, each answered by one and announced by it", () => {
  const cluster = settled();
  assert.deepEqual(new Set(cluster.holders), new Set(ALL));
  assert.equal(cluster.most, 1);
  for (const id of ALL) {
    const own = VIPS.filter((_, at) => cluster.holders[at] === id);
    assert.deepEqual(cluster.placed.get(id), own, "on the interface are the node's own");
    // the master had all of them at first, and has announced all
    const told = id === N1 ? VIPS : own;
    assert.ok(cluster.announced.includes(`${id}: ${told.map((vip) => vip.slice(-3)).join()}`));
  }
});

test("B10: without the option the master answers for all, and the tables do not say a word", () => {
  const { interfaceNodes: _none, ...plain } = spread();
  const cluster = settled(plain);
  assert.deepEqual(cluster.holders, [N1, N1, N1]);
  assert.equal(cluster.installed.get(N2)?.vipHolders, undefined);
});

test("B10: the option is switched on and off while the cluster runs", () => {
  const { interfaceNodes: _none, ...plain } = spread();
  const cluster = settled(plain);
  cluster.everywhere({ type: "spec-changed", spec: spread() });
  assert.deepEqual(new Set(cluster.holders), new Set(ALL));
  const told = cluster.announced.length;
  cluster.everywhere({ type: "spec-changed", spec: plain });
  assert.deepEqual(cluster.holders, [N1, N1, N1]);
  assert.ok(
    cluster.announced.indexOf("1: 100,101,102", told) > 0,
    "neighbours hear of the last one, too",
  );
  assert.equal(cluster.installed.get(N3)?.vipHolders, undefined);
  assert.equal(cluster.most, 1);
});

test("B10: a dead interface node's VIPs go to others at once, and come back with it", () => {
  const cluster = settled();
  const before = cluster.holders;
  cluster.dead.add(N3);
  cluster.meet(N1, [N1, N2], N2);
  const during = cluster.holders;
  assert.ok(!during.includes(N3) && !during.includes(NO_NODE), during.join());
  cluster.dead.delete(N3);
  cluster.installed.delete(N3);
  const alone = viewOf([N3], { role: "joining", master: NO_NODE, secondary: NO_NODE });
  cluster.step(N3, { type: "view-changed", view: alone });
  cluster.meet(N1, ALL, N2);
  assert.deepEqual(cluster.holders, before);
  assert.equal(cluster.most, 1);
});

test("B10: where VIPs stay, a node that returns has none until somebody dies; an operator's list moves one", () => {
  const staying = (ranked: InterfaceNodesSpec["ranked"] = []): ClusterSpec =>
    spread({ interfaceNodes: { ...EVEN, ranked, stays: true } });
  assert.deepEqual(settled(staying()).holders, [N1, N1, N1], "the first one has them");
  const cluster = settled(spread());
  cluster.everywhere({ type: "spec-changed", spec: staying() });
  assert.deepEqual(new Set(cluster.holders), new Set(ALL));
  const returns = (id: NodeId): void => {
    cluster.dead.delete(id);
    cluster.installed.delete(id);
    const alone = viewOf([id], { role: "joining", master: NO_NODE, secondary: NO_NODE });
    cluster.step(id, { type: "view-changed", view: alone });
    cluster.meet(N1, ALL, N2);
  };
  cluster.dead.add(N3);
  cluster.meet(N1, [N1, N2], N2);
  const during = cluster.holders;
  returns(N3);
  cluster.wait(ROUND_MS);
  assert.deepEqual(cluster.holders, during);
  const [vip = ip("10.0.0.100")] = VIPS;
  const list = [{ vip, nodes: [N3, N2] }];
  cluster.everywhere({ type: "spec-changed", spec: staying(list) });
  assert.equal(cluster.holders[0], N3);
  cluster.dead.add(N3);
  cluster.meet(N1, [N1, N2], N2);
  assert.equal(cluster.holders[0], N2);
  returns(N3);
  cluster.wait(ROUND_MS);
  assert.equal(cluster.holders[0], N2, "also one that has a list");
  assert.equal(cluster.most, 1);
});

test("B10: a drained node's VIPs move, and where all are drained, stay", () => {
  const cluster = settled();
  cluster.everywhere({ type: "spec-changed", spec: spread({ drained: [N2] }) });
  assert.ok(!cluster.holders.includes(N2) && !cluster.holders.includes(NO_NODE));
  cluster.everywhere({ type: "spec-changed", spec: spread({ drained: ALL }) });
  assert.ok(!cluster.holders.includes(NO_NODE));
  assert.equal(cluster.most, 1);
});

test("B10: an operator's list moves a VIP, in two versions that its holder acknowledges", () => {
  const cluster = settled();
  const [vip = ip("10.0.0.100")] = VIPS;
  const [from] = cluster.holders;
  const to = ALL.find((id) => id !== from && id !== N1) ?? N2;
  cluster.deaf.add(from ?? N1);
  const ranked = [{ vip, nodes: [to] }];
  cluster.everywhere({
    type: "spec-changed",
    spec: spread({ interfaceNodes: { ...EVEN, ranked } }),
  });
  if (from !== N1) assert.deepEqual(cluster.answering(vip), [from], "it has not heard of it");
  cluster.deaf.clear();
  cluster.run();
  cluster.wait(ACKNOWLEDGE_MS);
  cluster.wait(ROUND_MS);
  assert.deepEqual(cluster.answering(vip), [to]);
  assert.equal(cluster.most, 1);
});

test("B10: who does not acknowledge that it lost a VIP keeps it", () => {
  const cluster = settled();
  const at = cluster.holders.indexOf(N3);
  const vip = VIPS[at] ?? ip("10.0.0.100");
  cluster.deaf.add(N3);
  const ranked = [{ vip, nodes: [N2] }];
  cluster.everywhere({
    type: "spec-changed",
    spec: spread({ interfaceNodes: { ...EVEN, ranked } }),
  });
  cluster.wait(ACKNOWLEDGE_MS);
  cluster.wait(ACKNOWLEDGE_MS);
  assert.deepEqual(cluster.answering(vip), [N3]);
  cluster.deaf.clear();
  cluster.run();
  cluster.wait(ROUND_MS);
  assert.deepEqual(cluster.answering(vip), [N2]);
  assert.equal(cluster.most, 1);
});

test("B10: the master dies: its heir has its VIPs at once, the others keep theirs, and then they are spread", () => {
  const cluster = settled();
  const before = cluster.holders;
  cluster.dead.add(N1);
  cluster.deaf.add(N3);
  cluster.meet(N2, [N2, N3], N3);
  assert.deepEqual(
    cluster.holders,
    before.map((id) => (id === N1 ? N2 : id)),
  );
  cluster.deaf.clear();
  cluster.run();
  cluster.wait(ROUND_MS);
  assert.equal(
    cluster.holders.filter((id) => id === N2).length +
      cluster.holders.filter((id) => id === N3).length,
    3,
  );
  assert.equal(cluster.most, 1);
});

test("B10: a new master that was not the heir gives nothing before all have acknowledged", () => {
  const cluster = settled();
  cluster.dead.add(N1);
  cluster.dead.add(N2);
  cluster.deaf.add(N3);
  cluster.dead.delete(N2);
  // N3 was to be master next, as far as N2 knew
  cluster.step(N2, {
    type: "view-changed",
    view: viewOf(ALL, { role: "member", master: N1, secondary: N3 }),
  });
  cluster.meet(N2, [N2, N3], N3);
  const own = VIPS.filter((vip) => cluster.answering(vip).includes(N2));
  assert.deepEqual(own, [], "somebody may have been given what it had");
  cluster.deaf.clear();
  cluster.run();
  cluster.wait(ROUND_MS);
  assert.ok(!cluster.holders.includes(NO_NODE));
  assert.equal(cluster.most, 1);
});

test("B10: an interface node hears of moved slots after the heir has them", () => {
  const cluster = settled();
  cluster.deaf.add(N2);
  cluster.everywhere({ type: "spec-changed", spec: spread({ groups: [groupOf([1, 5, 1])] }) });
  const version = (id: NodeId): number => cluster.installed.get(id)?.version.counter ?? 0;
  const known = version(N3);
  assert.equal(version(N1), known, "neither it nor the master goes by the new ones");
  cluster.deaf.clear();
  cluster.run();
  assert.ok(version(N3) > known);
  assert.equal(version(N1), version(N3));
});

test("B10: with a method by which every member receives, the master answers for all", () => {
  const cluster = settled();
  cluster.everywhere({ type: "spec-changed", spec: spread({ method: "unicast" }) });
  cluster.wait(ROUND_MS);
  assert.deepEqual(cluster.holders, [N1, N1, N1]);
  assert.equal(cluster.most, 1);
});

test("B10: where VIPs stay, an operator's move counts though the master dies before it has made tables by it", () => {
  const [vip = ip("10.0.0.100")] = VIPS;
  const listed = (...nodes: NodeId[]): ClusterSpec =>
    spread({ interfaceNodes: { ...EVEN, ranked: [{ vip, nodes }], stays: true } });
  const cluster = settled(listed(N2, N3));
  cluster.wait(ROUND_MS);
  assert.equal(cluster.holders[0], N2);
  // the configuration is with the members, the tables that follow from it are not
  for (const id of [N2, N3]) cluster.step(id, { type: "spec-changed", spec: listed(N3, N2) });
  cluster.dead.add(N1);
  cluster.meet(N2, [N2, N3], N3);
  for (let rounds = 0; rounds < 3; rounds++) cluster.wait(ROUND_MS);
  assert.equal(cluster.holders[0], N3);
  assert.equal(cluster.most, 1);
});
