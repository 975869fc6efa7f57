// What was decided about the first fragment of a datagram, for the fragments after it, which carry no ports.
// Bounded: the key that was used longest ago makes room (counted), as in the kernel's LRU map.
import type { NodeId } from "#base/ids.ts";
import type { Reason } from "./reasons.ts";

/** Outcome of the stages classify … own: where a frame goes and with what hop; node 0 = it stays here. */
export interface Decision {
  readonly reason: Reason;
  readonly node: NodeId;
  readonly hop: number;
  /** Who has been asked in vain, when it goes there (askedBit). */
  readonly asked: number;
}

export class FragmentMemory {
  readonly #limit: number;
  readonly #decisions = new Map<string, Decision>();
  #evicted = 0;

  /** `limit`: datagrams remembered at most. */
  constructor(limit = 4096) {
    this.#limit = limit;
  }

  get size(): number {
    return this.#decisions.size;
  }

  /** Decisions that were lost because the memory was full. */
  get evicted(): number {
    return this.#evicted;
  }

  remember(key: string, decision: Decision): void {
    this.#decisions.delete(key);
    this.#decisions.set(key, decision);
    if (this.#decisions.size <= this.#limit) return;
    const oldest = this.#decisions.keys().next();
    if (oldest.done !== true) this.#decisions.delete(oldest.value);
    this.#evicted++;
  }

  recall(key: string): Decision | undefined {
    const decision = this.#decisions.get(key);
    if (decision === undefined) return undefined;
    this.#decisions.delete(key);
    this.#decisions.set(key, decision);
    return decision;
  }
}
