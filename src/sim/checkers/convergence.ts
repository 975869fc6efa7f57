// Liveness: once everything is healed, the cluster is whole within HEAL_MS: one master, every node a member of it, the same tables in
// every packet program, and every node with slots where it should have some. And then it stays so.
import type { NodeId } from "#base/ids.ts";
import { compareVersions } from "#base/ids.ts";
import { VIPS } from "../cluster-spec.ts";
import type { Conditions } from "../conditions.ts";
import type { SimNode } from "../node.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/**
 * A node whose question was answered wrongly waits up to a second, one that could not reach its master's control channel tries again
 * after two, and both may have to happen after the masters have settled who stays, for which announcements come every second.
 */
export const HEAL_MS = 10_000;

/** Of a change of the tables, with all its acknowledgements. */
const ON_THEIR_WAY_MS = 2000;

export class Convergence implements Observer {
  readonly #world: World;
  readonly #conditions: Conditions;
  #isWhole = false;
  #sinceMs: number | undefined;
  /** From healing to whole, for the summary. */
  readonly tookMs: number[] = [];

  constructor(world: World, conditions: Conditions) {
    this.#world = world;
    this.#conditions = conditions;
  }

  sample(): void {
    if (!this.#conditions.healing) {
      this.#isWhole = false;
      return;
    }
    const missing = this.missing();
    const { calmForMs } = this.#conditions;
    if (missing === undefined) {
      if (!this.#isWhole) this.tookMs.push(calmForMs);
      this.#isWhole = true;
      this.#sinceMs = undefined;
      return;
    }
    if (this.#isWhole) return this.#stays(missing);
    if (calmForMs <= HEAL_MS) return;
    throw new Violation("convergence", `${Math.round(calmForMs)} ms after healing: ${missing}`);
  }

  /** Tables are on their way for a moment; who belongs and who is master does not change any more. */
  #stays(missing: string): void {
    const { nowMs } = this.#world;
    this.#sinceMs ??= nowMs;
    const isPassing = this.#membership() === undefined && nowMs - this.#sinceMs < ON_THEIR_WAY_MS;
    if (isPassing) return;
    throw new Violation("convergence", `was whole, and is not any more: ${missing}`);
  }

  /** What keeps the cluster from being whole. */
  missing(): string | undefined {
    return this.#membership() ?? this.#tables();
  }

  #membership(): string | undefined {
    const { masters } = this.#world;
    const [master, rival] = masters;
    if (master === undefined) return "there is no master";
    if (rival !== undefined) return `nodes ${masters.map(({ id }) => id).join()} are master`;
    for (const node of this.#world.nodes) {
      const reason = this.#notIn(node, master);
      if (reason !== undefined) return reason;
    }
    return undefined;
  }

  #tables(): string | undefined {
    const [master] = this.#world.masters;
    if (master === undefined) return undefined;
    const { version } = master.program;
    for (const node of this.#world.nodes) {
      if (compareVersions(node.program.version, version) === 0) continue;
      return `node ${node.id} forwards by tables ${JSON.stringify(node.program.version)}, the master by ${JSON.stringify(version)}`;
    }
    return this.#unanswered() ?? this.#unserving(master);
  }

  /** B10: each VIP has one interface node, which answers for it. */
  #unanswered(): string | undefined {
    for (const vip of VIPS) {
      const answering = this.#world.nodes.filter(({ program }) => program.answersFor(vip));
      if (answering.length === 1) continue;
      return `nodes ${answering.map(({ id }) => id).join() || "none"} answer for ${vip}`;
    }
    return undefined;
  }

  #notIn(node: SimNode, master: SimNode): string | undefined {
    const view = node.agent?.heart.machine.view;
    if (view === undefined) return `node ${node.id} has no agent`;
    const isIn = view.role === "member" || view.role === "master";
    if (!isIn || view.master !== master.id) {
      return `node ${node.id} is ${view.role} under ${view.master}, the master is ${master.id}`;
    }
    if (view.members.length !== this.#world.nodes.length) {
      return `node ${node.id} knows ${view.members.length} members`;
    }
    return undefined;
  }

  /** Every node whose share is a slot or more has slots, unless it is drained, or its instance is not well where that counts. */
  #unserving(master: SimNode): string | undefined {
    // a slot whose chain is full waits until a former owner has no connection in it any more
    if ((master.agent?.main.controller.waitingMoves ?? 0) > 0) return undefined;
    const spec = master.agent?.main.config.spec;
    for (const group of master.program.installed.groups) {
      const wanted = spec?.groups.find(({ name }) => name === group.name);
      const owners = new Set<number>(group.owners);
      const serves = (id: NodeId): boolean =>
        spec?.drained.includes(id) !== true &&
        (wanted?.checked !== true || this.#world.node(id).isWell);
      const serving = wanted?.nodes.filter(({ id }) => serves(id)) ?? [];
      if (serving.length === 0) continue;
      if (wanted?.assignment === "lazy") continue;
      if (owners.has(0)) return `slots of ${group.name} have no owner`;
      const total = serving.reduce((sum, { weight }) => sum + weight, 0);
      for (const { id, weight } of serving) {
        const share = (group.owners.length * weight) / total;
        if (share >= 1 && !owners.has(id)) return `node ${id} has no slot of ${group.name}`;
      }
    }
    return undefined;
  }
}
