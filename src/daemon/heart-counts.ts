// What the heart counts: messages by type, drops by reason. The keys are literals of the code, so the maps
// are bounded.
import type { HeartCounters } from "./heart-protocol.ts";

export class HeartCounts {
  readonly #sent = new Map<string, number>();
  readonly #received = new Map<string, number>();
  readonly #dropped = new Map<string, number>();
  #bytesSent = 0;
  #bytesReceived = 0;
  #worstDelayMs = 0;

  sent(type: string, bytes: number): void {
    increment(this.#sent, type);
    this.#bytesSent += bytes;
  }

  received(type: string, bytes: number): void {
    increment(this.#received, type);
    this.#bytesReceived += bytes;
  }

  dropped(reason: string): void {
    increment(this.#dropped, reason);
  }

  /** @param lateMs by how much a turn of the loop began later than asked for */
  delayed(lateMs: number): void {
    this.#worstDelayMs = Math.max(this.#worstDelayMs, lateMs);
  }

  snapshot(seen: Pick<HeartCounters, "heard" | "together" | "maySpeak">): HeartCounters {
    return {
      ...seen,
      sent: Object.fromEntries(this.#sent),
      received: Object.fromEntries(this.#received),
      dropped: Object.fromEntries(this.#dropped),
      bytesSent: this.#bytesSent,
      bytesReceived: this.#bytesReceived,
      worstDelayMs: this.#worstDelayMs,
    };
  }
}

const increment = (counts: Map<string, number>, key: string): void => {
  counts.set(key, (counts.get(key) ?? 0) + 1);
};
