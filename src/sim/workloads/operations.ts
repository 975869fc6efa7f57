// What operators do to a cluster that is well: drain and weights, nodes that leave and come back, configuration changes, and now and
// then the death of one machine, whose failover is held to its limit.
import type { Prng } from "#base/prng.ts";
import { VIPS } from "../cluster-spec.ts";
import type { Conditions } from "../conditions.ts";
import type { Failover } from "../checkers/failover.ts";
import type { MainThread } from "../main-thread.ts";
import type { SimNode } from "../node.ts";
import type { Parts } from "../parts.ts";
import type { World } from "../world.ts";
import type { GroupSpec, InterfaceNodesSpec } from "#core/node/cluster-spec.ts";

export interface OperationsParts {
  readonly world: World;
  readonly prng: Prng;
  readonly conditions: Conditions;
  readonly failover: Failover;
  readonly parts: Parts;
  /** VIPs are moved, too. */
  readonly spread: boolean;
}

/** No two nodes ever have certificates of one serial number. */
const SERIALS_APART = 4096;

export class Operations {
  readonly #world: World;
  readonly #prng: Prng;
  readonly #conditions: Conditions;
  readonly #failover: Failover;
  readonly #parts: Parts;
  #open = false;
  #next = 0;
  readonly #kinds: readonly (() => void)[];

  constructor({ world, prng, conditions, failover, parts, spread }: OperationsParts) {
    this.#world = world;
    this.#prng = prng;
    this.#conditions = conditions;
    this.#failover = failover;
    this.#parts = parts;
    this.#kinds = [
      () => this.#drain(),
      () => this.#drain(),
      () => this.#weigh(),
      () => this.#weigh(),
      () => this.#leave(),
      () => this.#leave(),
      () => this.#restartAgent(),
      () => this.#fail(),
      () => this.#fail(),
      () => this.#revoke(),
      () => this.#deliver(),
      () => this.#deliver(),
      () => this.#check(),
      () => this.#check(),
      ...(spread ? [() => this.#moveVip(), () => this.#moveVip(), () => this.#weighVips()] : []),
    ];
  }

  /** Something every now and then, until `close`. */
  begin(meanGapMs: number): void {
    this.#open = true;
    const next = (): void => {
      if (!this.#open) return;
      this.#prng.pick(this.#kinds)();
      this.#world.in(100 + this.#prng.below(2 * meanGapMs), next);
    };
    this.#world.in(100 + this.#prng.below(2 * meanGapMs), next);
  }

  close(): void {
    this.#open = false;
  }

  /** The operator's door: the main thread of the master. */
  get #master(): MainThread | undefined {
    const [master, rival] = this.#world.masters;
    const main = master?.agent?.main;
    return rival === undefined && main?.isMaster === true ? main : undefined;
  }

  #say(what: string, detail?: unknown): void {
    this.#conditions.touch();
    this.#world.probes.fault(what, detail);
  }

  #drain(): void {
    const main = this.#master;
    if (main === undefined) return;
    const { spec } = main.config;
    const { id } = this.#prng.pick(this.#world.nodes);
    const isDrained = spec.drained.includes(id);
    // somebody has to serve
    if (!isDrained && spec.drained.length + 2 > this.#world.nodes.length) return;
    const drained = isDrained
      ? spec.drained.filter((other) => other !== id)
      : [...spec.drained, id];
    this.#say(`operator ${isDrained ? "undrains" : "drains"} node ${id}`);
    main.tasks.post(() => main.edit({ spec: { ...spec, drained } }));
  }

  /** The health checks of a node come to another finding (B7). */
  #check(): void {
    const node = this.#prng.pick(this.#world.nodes);
    this.#say(`checks find the instance on node ${node.id} ${node.isWell ? "down" : "up"}`);
    node.checksFind(!node.isWell);
  }

  #weigh(): void {
    const main = this.#master;
    if (main === undefined) return;
    const { spec } = main.config;
    const { id } = this.#prng.pick(this.#world.nodes);
    const weight = this.#prng.pick([1, 5, 10, 20, 40]);
    this.#say(`operator gives node ${id} weight ${weight}`);
    const weighed = (group: GroupSpec): GroupSpec => ({
      ...group,
      nodes: group.nodes.map((node) => (node.id === id ? { ...node, weight } : node)),
    });
    main.tasks.post(() => main.edit({ spec: { ...spec, groups: spec.groups.map(weighed) } }));
  }

  /** A13: by another method. */
  #deliver(): void {
    const main = this.#master;
    if (main === undefined) return;
    const { spec } = main.config;
    const method = this.#prng.pick(["forward", "unicast", "multicast", "igmp"] as const);
    if (method === spec.method) return;
    this.#say(`operator chooses delivery by ${method}`);
    main.tasks.post(() => main.edit({ spec: { ...spec, method } }));
  }

  /** B10: to a node of the operator's choice, or back to where it is spread to. */
  #moveVip(): void {
    const vip = this.#prng.pick(VIPS);
    const { id } = this.#prng.pick(this.#world.nodes);
    const isReleased = this.#prng.chance(0.3);
    this.#place(`operator ${isReleased ? "releases" : `moves to node ${id}`} ${vip}`, (before) => ({
      ...before,
      ranked: [
        ...before.ranked.filter((each) => each.vip !== vip),
        ...(isReleased ? [] : [{ vip, nodes: [id] }]),
      ],
    }));
  }

  #weighVips(): void {
    const { id } = this.#prng.pick(this.#world.nodes);
    const weight = this.#prng.below(3);
    this.#place(`operator gives node ${id} weight ${weight} for VIPs`, (before) => ({
      ...before,
      nodes: before.nodes.map((node) => (node.id === id ? { id, weight } : node)),
    }));
  }

  #place(what: string, change: (before: InterfaceNodesSpec) => InterfaceNodesSpec): void {
    const main = this.#master;
    const before = main?.config.spec.interfaceNodes;
    if (main === undefined || before === undefined) return;
    this.#say(what);
    const { spec } = main.config;
    main.tasks.post(() => main.edit({ spec: { ...spec, interfaceNodes: change(before) } }));
  }

  #well(): SimNode | undefined {
    const nodes = this.#world.nodes.filter(({ state }) => state === "running");
    return nodes.length < 3 ? undefined : this.#prng.pick(nodes);
  }

  /** Until the node is back something is amiss, though nothing is wrong. */
  #away(node: SimNode, awayMs: number): void {
    const name = `absence ${this.#next}`;
    this.#next += 1;
    this.#conditions.begin(name);
    this.#world.in(awayMs, () => {
      this.#conditions.end(name);
      if (node.agent !== undefined) return;
      this.#say(`node ${node.id} starts again`);
      node.start(this.#world.config);
      this.#parts.disturb(node.id);
    });
  }

  #leave(): void {
    const node = this.#well();
    if (node === undefined) return;
    this.#say(`node ${node.id} leaves`);
    node.leave();
    this.#away(node, 200 + this.#prng.below(8000));
  }

  #restartAgent(): void {
    const node = this.#well();
    if (node === undefined) return;
    this.#say(`the agent of node ${node.id} is restarted`);
    node.agentEnded();
    this.#away(node, 20 + this.#prng.below(500));
  }

  #fail(): void {
    const node = this.#well();
    if (node === undefined) return;
    this.#failover.expectFailureOf(node);
    const how = this.#prng.pick(["crash", "crash", "kill", "freeze"] as const);
    this.#say(`node ${node.id}: ${how}`);
    if (how === "crash") node.crash();
    else if (how === "kill") node.agentEnded();
    else {
      node.freeze("frozen");
      this.#world.in(600 + this.#prng.below(3000), () => {
        if (node.state === "frozen") node.crash();
      });
    }
    this.#away(node, 4000 + this.#prng.below(4000));
  }

  /** A node's certificate is revoked; later an operator gives it a new one. */
  #revoke(): void {
    const main = this.#master;
    const node = this.#well();
    if (main === undefined || node === undefined) return;
    this.#say(`operator revokes the certificate of node ${node.id}`);
    const { serial } = node;
    main.tasks.post(() => main.edit({ revoked: [...main.config.revoked, serial] }));
    const name = `revocation ${this.#next}`;
    this.#next += 1;
    this.#conditions.begin(name);
    this.#world.in(3000 + this.#prng.below(4000), () => {
      this.#conditions.end(name);
      this.#say(`node ${node.id} gets a new certificate`);
      node.agentEnded();
      node.serial += SERIALS_APART;
      this.#away(node, 1000);
    });
  }
}
