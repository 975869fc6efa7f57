// Answers that each source gets, so that one cannot use up what is there for all (AnswerLimit). A source is an IPv4 address, or a network
// of IPv6 of 64 bits, all of which one host may have. So many sources are known at most; then the one that was answered longest
// ago is forgotten, and begins anew: whoever has that many is held by the limit for all alone.
import type { Instant } from "#base/time.ts";
import { AnswerLimit } from "./answers.ts";

export const ANSWERS_PER_SOURCE = 100;
export const MAX_SOURCES = 1024;
const NETWORK_BYTES = 8;

const keyOf = (source: Uint8Array): string =>
  String.fromCharCode(...(source.byteLength === 4 ? source : source.subarray(0, NETWORK_BYTES)));

export class SourceLimits {
  /** The one that was answered longest ago first. */
  readonly #limits = new Map<string, AnswerLimit>();

  get size(): number {
    return this.#limits.size;
  }

  /** False: this source has had too many in this second. */
  take(now: Instant, source: Uint8Array): boolean {
    const key = keyOf(source);
    const limit = this.#limits.get(key) ?? new AnswerLimit(ANSWERS_PER_SOURCE);
    this.#limits.delete(key);
    this.#limits.set(key, limit);
    const [oldest = key] = this.#limits.keys();
    if (this.#limits.size > MAX_SOURCES) this.#limits.delete(oldest);
    return limit.take(now);
  }
}
