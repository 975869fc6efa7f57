// Asks the kernel again and again how far peers have acknowledged, for those sessions to which it matters. Nothing tells a program so.
import { elapsedMs } from "#base/time.ts";
import { now } from "./clock.ts";

export interface Asker {
  /** False: it need not be asked any more. */
  readonly poll: () => boolean;
}

const EVERY_MS = 10;
/** However many there are, it takes one part in so many of the time. */
const SHARE = 10;

export class PeerWatch {
  readonly #askers = new Set<Asker>();
  #timer: NodeJS.Timeout | undefined;
  #closed = false;

  add(asker: Asker): void {
    if (this.#closed) return;
    this.#askers.add(asker);
    this.#timer ??= setTimeout(() => this.#ask(), EVERY_MS);
  }

  #ask(): void {
    const began = now();
    for (const asker of [...this.#askers]) if (!asker.poll()) this.#askers.delete(asker);
    this.#timer = undefined;
    if (this.#askers.size === 0) return;
    const pause = Math.max(EVERY_MS, SHARE * elapsedMs(began, now()));
    this.#timer = setTimeout(() => this.#ask(), pause);
  }

  close(): void {
    this.#closed = true;
    clearTimeout(this.#timer);
    this.#askers.clear();
  }
}
