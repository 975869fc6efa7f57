// What happens as often as strangers try is told seldom: the first of each kind, then once a minute, with how many were left out.
import { elapsedMs, type Instant } from "#base/time.ts";

const EVERY_MS = 60_000;
/** Kinds that are remembered; the one told longest ago is forgotten, and its next one is told again. */
export const MAX_KINDS = 256;

interface Told {
  readonly at: Instant;
  untold: number;
}

export class Seldom {
  /** The one told longest ago first. */
  readonly #told = new Map<string, Told>();

  /** Undefined: not to be told. Otherwise how many of this kind have not been told since the last that was. */
  ask(now: Instant, kind: string): number | undefined {
    const told = this.#told.get(kind);
    if (told !== undefined && elapsedMs(told.at, now) < EVERY_MS) {
      told.untold += 1;
      return undefined;
    }
    this.#told.delete(kind);
    const [oldest] = this.#told.keys();
    if (this.#told.size >= MAX_KINDS && oldest !== undefined) this.#told.delete(oldest);
    this.#told.set(kind, { at: now, untold: 0 });
    return told?.untold ?? 0;
  }
}
