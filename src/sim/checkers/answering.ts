// ADR 3, ADR 25, A5, B10: of nodes that hear each other only one answers for a VIP, beyond the time of the lease and of the tie-break; and
// a node that is no master, nor the VIP's interface node, does not answer for longer than a lease lasts.
import type { IpAddress } from "#base/address.ts";
import { NO_NODE } from "#base/ids.ts";
import { VIPS } from "../cluster-spec.ts";
import type { DataPlane } from "../data-plane.ts";
import { pairsOf, type Parts } from "../parts.ts";
import type { SimNode } from "../node.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";
import { TIE_BREAK_MS } from "./one-master.ts";

/** Whoever is late by a lease has lost it (docs/adr/0008). */
const SETTLED_MS = 1000;

export class Answering implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  /** Since when two answer for a VIP while they follow the same masters: who has just become one has to meet the other first. */
  #bothSinceMs = new Map<string, number>();

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
  }

  sample(): void {
    const before = this.#bothSinceMs;
    if (before.size > 0) this.#bothSinceMs = new Map();
    for (const vip of VIPS) this.#look(vip, before);
  }

  /** Of nodes that follow one master and hear each other, never two, also while tables are on their way. */
  installed(): void {
    for (const vip of VIPS) {
      const [first, second] = this.#plane.answering(vip);
      if (first === undefined || second === undefined) continue;
      const isOneCluster = this.#masterOf(first) === this.#masterOf(second);
      if (!isOneCluster || this.#fineForMs(first, second) < SETTLED_MS) continue;
      const text = `nodes ${first.id} and ${second.id} of one cluster answer for ${vip} at once`;
      throw new Violation("answering", text);
    }
  }

  /** For how long both, and those that they follow, have heard each other: only masters that meet can end it. */
  #fineForMs(first: SimNode, second: SimNode): number {
    const masters = [this.#masterOf(first), this.#masterOf(second)];
    return this.#parts.allFineForMs([first, second, ...masters]);
  }

  #masterOf(node: SimNode): SimNode {
    const master = node.agent?.heart.machine.view.master ?? NO_NODE;
    return master === NO_NODE ? node : this.#world.node(master);
  }

  #look(vip: IpAddress, before: ReadonlyMap<string, number>): void {
    for (const [first, second] of pairsOf(this.#plane.answering(vip))) {
      this.#bothAnswer(vip, first, second, before);
    }
  }

  #bothAnswer(
    vip: IpAddress,
    first: SimNode,
    second: SimNode,
    before: ReadonlyMap<string, number>,
  ): void {
    const { nowMs } = this.#world;
    const masters = [first, second].map((node) => this.#masterOf(node).id);
    const key = `${vip} ${first.id} ${second.id} ${masters.join(" ")}`;
    const sinceMs = before.get(key) ?? nowMs;
    this.#bothSinceMs.set(key, sinceMs);
    const bothMs = Math.min(nowMs - sinceMs, this.#fineForMs(first, second));
    if (bothMs <= TIE_BREAK_MS) return;
    const text = `nodes ${first.id} and ${second.id} have both answered for ${vip} for ${Math.round(bothMs)} ms`;
    throw new Violation("answering", text);
  }
}
