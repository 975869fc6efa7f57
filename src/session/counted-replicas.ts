// The replicas that this node's connections wait for (docs/adr/0034): those to which there is a stream, and for as long as they were promised those
// whose stream has ended without their doing.
import type { NodeId } from "#base/ids.ts";
import { elapsedMs } from "#base/time.ts";
import { Reliance } from "#core/takeover/reliance.ts";
import type { Clock } from "./clock.ts";

export class CountedReplicas {
  readonly #clock: Pick<Clock, "now" | "later">;
  readonly #released: (replica: NodeId) => void;
  readonly #reliance = new Reliance();
  /** Without a stream, and promised to be counted on for a little longer: what ends the wait. */
  readonly #promised = new Map<NodeId, () => void>();
  #closed = false;

  /** @param released from now on connections go on without it */
  constructor(clock: Pick<Clock, "now" | "later">, released: (replica: NodeId) => void) {
    this.#clock = clock;
    this.#released = released;
  }

  get limitMs(): number {
    return this.#reliance.limitMs;
  }

  /** For how long a replica that does not answer is counted on. */
  set limitMs(limitMs: number) {
    this.#reliance.limitMs = limitMs;
  }

  streamBegan(replica: NodeId): void {
    this.#stopWaiting(replica);
    this.#reliance.joined(this.#clock.now(), replica);
  }

  /** @param knows the replica itself has ended it, so it has no record, or none that it would use; or it is no member any more */
  streamEnded(replica: NodeId, knows: boolean): void {
    if (this.#closed) return;
    const until = this.#reliance.until(replica);
    if (knows || until === undefined) return this.#release(replica);
    const leftMs = Math.max(0, elapsedMs(this.#clock.now(), until));
    this.#stopWaiting(replica);
    this.#promised.set(
      replica,
      this.#clock.later(leftMs, () => this.#release(replica)),
    );
  }

  /** It is no member any more. */
  departed(replica: NodeId): void {
    if (this.#promised.has(replica)) this.#release(replica);
  }

  /** It is there. Answers what it is promised, in milliseconds from its question on. */
  present(replica: NodeId): number {
    return this.#reliance.present(this.#clock.now(), replica);
  }

  /** Those that have not answered for too long, each once. */
  look(): NodeId[] {
    return this.#reliance.look(this.#clock.now());
  }

  #release(replica: NodeId): void {
    this.#stopWaiting(replica);
    this.#reliance.left(replica);
    this.#released(replica);
  }

  #stopWaiting(replica: NodeId): void {
    this.#promised.get(replica)?.();
    this.#promised.delete(replica);
  }

  /** Streams end after it: nobody waits for those either. */
  close(): void {
    this.#closed = true;
    for (const stop of this.#promised.values()) stop();
  }
}
