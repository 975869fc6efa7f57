// Whom the owner of connections counts on (A16, docs/adr/0034). A replica says again and again that it is there; one that has not for the limit is
// left out, so that a process that hangs stalls nobody for longer. It was promised not to be before: with each answer it hears for how long from
// its question on its records are those that count (currency.ts).
import type { NodeId } from "#base/ids.ts";
import { after, elapsedMs, type Instant } from "#base/time.ts";

/** How often a replica says that it is there, and an owner looks who has not. */
export const PRESENT_EVERY_MS = 100;
/** Until the word of a death is at the replicas at the latest, beyond two detection intervals. */
const SPARE_MS = 1000;
/** As long as the agent has not said what the interval is. */
const USUAL_DETECTION_MS = 200;
/** An owner that did not run itself looks so often before it gives anybody up: what has come meanwhile is read in between. */
const FEWEST_LOOKS = 10;

/** A replica that does not answer is counted on for so long: longer than it takes to hear that its owner has died. */
export const relianceMs = (detectionMs: number = USUAL_DETECTION_MS): number =>
  SPARE_MS + 2 * detectionMs;

interface Relied {
  heardAt: Instant;
  /** Since then. */
  looks: number;
  limitMs: number;
}

export class Reliance {
  readonly #replicas = new Map<NodeId, Relied>();
  limitMs = relianceMs();

  /** Its stream is there: what it says on it counts from now on. */
  joined(now: Instant, replica: NodeId): void {
    this.#heard(now, replica);
  }

  /** It is there. Answers what it is promised, in milliseconds from its question on. */
  present(now: Instant, replica: NodeId): number {
    this.#heard(now, replica);
    return this.limitMs;
  }

  #heard(heardAt: Instant, replica: NodeId): void {
    // a shorter limit does not take back what was promised
    const before = this.#replicas.get(replica)?.limitMs ?? 0;
    const limitMs = Math.max(this.limitMs, before);
    this.#replicas.set(replica, { heardAt, looks: 0, limitMs });
  }

  /** Those whose time is over, each once. */
  look(now: Instant): NodeId[] {
    return [...this.#replicas].flatMap(([replica, relied]) => {
      relied.looks += 1;
      const isOver = elapsedMs(relied.heardAt, now) > relied.limitMs;
      if (!isOver || relied.looks < FEWEST_LOOKS) return [];
      this.#replicas.delete(replica);
      return [replica];
    });
  }

  /** Until when it may take its records for those that count; undefined: it may not. */
  until(replica: NodeId): Instant | undefined {
    const relied = this.#replicas.get(replica);
    return relied === undefined ? undefined : after(relied.heardAt, relied.limitMs);
  }

  /** It knows that it is not counted on any more. */
  left(replica: NodeId): void {
    this.#replicas.delete(replica);
  }
}
