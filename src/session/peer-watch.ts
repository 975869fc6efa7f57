// Asks the kernel again and again how far peers have acknowledged, for those sessions to which it matters. Nothing tells a program so.
import { elapsedMs } from "#base/time.ts";
import type { Clock } from "./clock.ts";

export interface Asker {
  /** False: it need not be asked any more. */
  readonly poll: () => boolean;
}

const EVERY_MS = 10;
/** However many there are, it takes one part in so many of the time. */
const SHARE = 10;

export class PeerWatch {
  readonly #askers = new Set<Asker>();
  readonly #clock: Clock;
  #stop: (() => void) | undefined;
  #closed = false;

  constructor(clock: Clock) {
    this.#clock = clock;
  }

  add(asker: Asker): void {
    if (this.#closed) return;
    this.#askers.add(asker);
    this.#stop ??= this.#clock.later(EVERY_MS, () => this.#ask());
  }

  #ask(): void {
    const began = this.#clock.now();
    for (const asker of [...this.#askers]) if (!asker.poll()) this.#askers.delete(asker);
    this.#stop = undefined;
    if (this.#askers.size === 0) return;
    const pause = Math.max(EVERY_MS, SHARE * elapsedMs(began, this.#clock.now()));
    this.#stop = this.#clock.later(pause, () => this.#ask());
  }

  close(): void {
    this.#closed = true;
    this.#stop?.();
    this.#askers.clear();
  }
}
