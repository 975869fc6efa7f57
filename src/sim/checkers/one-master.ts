// A5: in every connected part there is at most one master for longer than the tie-break needs.
import type { Parts } from "../parts.ts";
import { Violation } from "../violation.ts";
import type { Observer } from "../probes.ts";
import type { World } from "../world.ts";

/** Announcements come every second, a question and its answer follow; one of them may be lost, twice. */
export const TIE_BREAK_MS = 4000;

export class OneMaster implements Observer {
  readonly #world: World;
  readonly #parts: Parts;
  /** Since when a pair has been two masters at once. */
  readonly #since = new Map<number, number>();

  constructor(world: World, parts: Parts) {
    this.#world = world;
    this.#parts = parts;
  }

  sample(): void {
    const { masters, nowMs } = this.#world;
    if (masters.length < 2) return this.#since.clear();
    for (const a of masters) {
      for (const b of masters) {
        if (a.id >= b.id) continue;
        const pair = a.id * 4096 + b.id;
        const since = this.#since.get(pair) ?? nowMs;
        this.#since.set(pair, since);
        const both = Math.min(nowMs - since, this.#parts.fineForMs(a, b));
        if (both > TIE_BREAK_MS) {
          const text = `nodes ${a.id} and ${b.id} hear each other and have both been master for ${Math.round(both)} ms`;
          throw new Violation("one-master", text);
        }
      }
    }
    for (const pair of this.#since.keys()) {
      const gone = [pair >> 12, pair & 4095].some((id) => !masters.some((node) => node.id === id));
      if (gone) this.#since.delete(pair);
    }
  }
}
