// Time as the engine sees it: real for a server, made up for a simulation.
import { type Instant, instant } from "#base/time.ts";

/** This process's monotonic clock as the core sees it; the same that stamps what the session program tells. */
export const now = (): Instant => instant(Number(process.hrtime.bigint()) / 1e6);

export interface Clock {
  readonly now: () => Instant;
  /** Calls again and again, or once; answers what ends it. */
  readonly every: (ms: number, turn: () => void) => () => void;
  readonly later: (ms: number, turn: () => void) => () => void;
}

export const REAL_CLOCK: Clock = {
  now,
  every: (ms, turn) => {
    const timer = setInterval(turn, ms).unref();
    return () => clearInterval(timer);
  },
  later: (ms, turn) => {
    const timer = setTimeout(turn, ms);
    return () => clearTimeout(timer);
  },
};

/** Something that is done again and again, as long as it is wanted. */
export class Recurring {
  readonly #clock: Pick<Clock, "every">;
  readonly #everyMs: number;
  readonly #turn: () => void;
  #stop: (() => void) | undefined;

  constructor(clock: Pick<Clock, "every">, everyMs: number, turn: () => void) {
    this.#clock = clock;
    this.#everyMs = everyMs;
    this.#turn = turn;
  }

  /** From now on it is, or is not. */
  want(isWanted: boolean): void {
    if (isWanted) {
      this.#stop ??= this.#clock.every(this.#everyMs, this.#turn);
      return;
    }
    this.#stop?.();
    this.#stop = undefined;
  }
}
