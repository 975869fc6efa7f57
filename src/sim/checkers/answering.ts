// ADR 3, ADR 25, A5, B10: of nodes that hear each other only one answers for a VIP, beyond the time of the lease and of the tie-break; and
// a node that is no master, nor the VIP's interface node, does not answer for longer than a lease lasts.
import type { IpAddress } from "#base/address.ts";
import { VIPS } from "../cluster-spec.ts";
import type { DataPlane } from "../data-plane.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";
import { TIE_BREAK_MS } from "./one-master.ts";

export class Answering implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  /** By VIP. */
  readonly #severalSinceMs = new Map<IpAddress, number>();

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
  }

  sample(): void {
    for (const vip of VIPS) this.#look(vip);
  }

  #look(vip: IpAddress): void {
    const { nowMs } = this.#world;
    const answering = this.#plane.answering(vip);
    const [first, second] = answering;
    if (first === undefined || second === undefined) {
      this.#severalSinceMs.delete(vip);
      return;
    }
    const sinceMs = this.#severalSinceMs.get(vip) ?? nowMs;
    this.#severalSinceMs.set(vip, sinceMs);
    const bothMs = Math.min(nowMs - sinceMs, this.#parts.fineForMs(first, second));
    if (bothMs <= TIE_BREAK_MS) return;
    const ids = answering.map(({ id }) => id).join(" and ");
    throw new Violation(
      "answering",
      `nodes ${ids} have all answered for ${vip} for ${Math.round(bothMs)} ms`,
    );
  }
}
