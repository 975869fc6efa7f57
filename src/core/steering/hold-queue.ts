// Frames that wait for a decision (A15): for an owner of their slot, or for the first fragment of their packet. Bounded by count, bytes
// and age; what a bound costs is counted. Keys are made by whoever holds: a slot, a datagram.
import { after, type Instant } from "#base/time.ts";

export interface HoldLimits {
  readonly frames: number;
  readonly bytes: number;
  readonly ageMs: number;
}

/** Some hundred connections that begin at the same time; a client repeats its SYN after a second. Early fragments: half as much besides. */
export const HOLD_LIMITS: HoldLimits = { frames: 4096, bytes: 8 * 1024 * 1024, ageMs: 1000 };

export interface HoldCounts {
  /** Taken in, since the start. */
  readonly held: number;
  /** Sent on after all. */
  readonly released: number;
  /** Not taken in: a bound was reached. */
  readonly refused: number;
  /** Dropped: nothing was decided in time. */
  readonly expired: number;
}

export interface HeldUnder {
  readonly key: string;
  readonly frame: Uint8Array;
}

interface Held extends HeldUnder {
  readonly until: Instant;
}

export class HoldQueue {
  readonly #limits: HoldLimits;
  /** In order of arrival, which is the order of expiry. */
  #waiting: Held[] = [];
  #bytes = 0;
  #held = 0;
  #released = 0;
  #refused = 0;
  #expired = 0;

  constructor(limits: HoldLimits = HOLD_LIMITS) {
    this.#limits = limits;
  }

  get frames(): number {
    return this.#waiting.length;
  }

  get bytes(): number {
    return this.#bytes;
  }

  get counts(): HoldCounts {
    return {
      held: this.#held,
      released: this.#released,
      refused: this.#refused,
      expired: this.#expired,
    };
  }

  /** When the oldest frame expires. */
  get deadline(): Instant | undefined {
    return this.#waiting[0]?.until;
  }

  /** What is waited for, each once. */
  get keys(): Set<string> {
    return new Set(this.#waiting.map(({ key }) => key));
  }

  /** What is waited for, each once, with the oldest frame that waits for it. */
  get oldest(): Map<string, Uint8Array> {
    const oldest = new Map<string, Uint8Array>();
    for (const { key, frame } of this.#waiting) if (!oldest.has(key)) oldest.set(key, frame);
    return oldest;
  }

  /** False: there is no room, and the frame is lost. */
  hold(now: Instant, key: string, frame: Uint8Array): boolean {
    this.expire(now);
    const { frames, bytes, ageMs } = this.#limits;
    if (this.#waiting.length >= frames || this.#bytes + frame.byteLength > bytes) {
      this.#refused += 1;
      return false;
    }
    this.#waiting.push({ key, frame, until: after(now, ageMs) });
    this.#bytes += frame.byteLength;
    this.#held += 1;
    return true;
  }

  /** The frames about which something is decided, in the order in which they came; each is asked about once. */
  release(now: Instant, isDecided: (held: HeldUnder) => boolean): HeldUnder[] {
    this.expire(now);
    const [taken, kept] = [[] as Held[], [] as Held[]];
    for (const held of this.#waiting) (isDecided(held) ? taken : kept).push(held);
    this.#waiting = kept;
    for (const { frame } of taken) this.#bytes -= frame.byteLength;
    this.#released += taken.length;
    return taken;
  }

  expire(now: Instant): void {
    let old = 0;
    for (const { until, frame } of this.#waiting) {
      if (now < until) break;
      old += 1;
      this.#bytes -= frame.byteLength;
    }
    if (old === 0) return;
    this.#waiting.splice(0, old);
    this.#expired += old;
  }
}
