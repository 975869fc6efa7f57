// Fragments that came before the first one of their datagram (A14). They wait in a queue of their own: anybody can send fragments
// without end, and frames that wait for an owner must have room all the same. Whether a first fragment has come by now has to be asked,
// so it is asked once for each datagram, and for a limited number of them in a turn.
import { after, earliest, type Instant } from "#base/time.ts";
import { HoldQueue, type HoldCounts, type HoldLimits } from "./hold-queue.ts";

/** How often the memory of first fragments is asked while fragments wait: usually they are only out of order. */
export const FRAGMENT_RETRY_MS = 5;
/** Each is a call into the kernel. Datagrams for which there was no turn are asked about first in the next one. */
export const ASKED_A_TURN = 128;

/** Half of what may wait for an owner, by count and by bytes. */
function half({ frames, bytes, ageMs }: HoldLimits): HoldLimits {
  return { frames: Math.floor(frames / 2), bytes: Math.floor(bytes / 2), ageMs };
}

export class EarlyFragments {
  readonly #queue: HoldQueue;
  /** Datagrams that are still to be asked about before any is asked about again. */
  #round: string[] = [];
  #retryAt: Instant | undefined;

  /** @param limits of the frames that wait for an owner */
  constructor(limits: HoldLimits) {
    this.#queue = new HoldQueue(half(limits));
  }

  get frames(): number {
    return this.#queue.frames;
  }

  get bytes(): number {
    return this.#queue.bytes;
  }

  get counts(): HoldCounts {
    return this.#queue.counts;
  }

  get deadline(): Instant | undefined {
    return earliest(this.#queue.deadline, this.#retryAt);
  }

  /** @param datagram the same for all fragments of one datagram, and for no others */
  hold(now: Instant, datagram: string, frame: Uint8Array): void {
    if (this.#queue.hold(now, datagram, frame)) this.#retryAt ??= after(now, FRAGMENT_RETRY_MS);
  }

  /** Drops what is too old; answers the fragments whose first one has been seen meanwhile. `isFirstSeen` is given any of a datagram. */
  deadlineReached(now: Instant, isFirstSeen: (frame: Uint8Array) => boolean): Uint8Array[] {
    this.#queue.expire(now);
    if (this.#retryAt === undefined || now < this.#retryAt) return [];
    const seen = this.#ask(isFirstSeen);
    const taken = seen.size === 0 ? [] : this.#queue.release(now, ({ key }) => seen.has(key));
    this.#retryAt = this.#queue.frames > 0 ? after(now, FRAGMENT_RETRY_MS) : undefined;
    return taken.map(({ frame }) => frame);
  }

  #ask(isFirstSeen: (frame: Uint8Array) => boolean): Set<string> {
    const waiting = this.#queue.oldest;
    const seen = new Set<string>();
    if (this.#round.length === 0) this.#round = [...waiting.keys()];
    for (const key of this.#round.splice(0, ASKED_A_TURN)) {
      const frame = waiting.get(key);
      if (frame !== undefined && isFirstSeen(frame)) seen.add(key);
    }
    return seen;
  }
}
