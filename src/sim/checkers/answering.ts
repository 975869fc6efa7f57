// ADR 3, A5, B10: of nodes that hear each other only one answers for the VIPs, beyond the time of the lease and of the tie-break; and a
// node that is no master does not answer for longer than a lease lasts.
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
  #severalSinceMs: number | undefined;

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
  }

  sample(): void {
    const { nowMs } = this.#world;
    const answering = this.#plane.answering();
    const [first, second] = answering;
    if (first === undefined || second === undefined) {
      this.#severalSinceMs = undefined;
      return;
    }
    this.#severalSinceMs ??= nowMs;
    const bothMs = Math.min(nowMs - this.#severalSinceMs, this.#parts.fineForMs(first, second));
    if (bothMs <= TIE_BREAK_MS) return;
    const ids = answering.map(({ id }) => id).join(" and ");
    throw new Violation(
      "answering",
      `nodes ${ids} have all answered for the VIPs for ${Math.round(bothMs)} ms`,
    );
  }
}
