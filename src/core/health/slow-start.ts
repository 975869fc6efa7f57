// Slow start (B7): an instance that has just come back takes its share in ten steps, so that cold caches and pools are not hit by all of
// it at once.
import { after, elapsedMs, type Instant } from "#base/time.ts";

export const WHOLE = 100;
const STEPS = 10;

export class SlowStart {
  #startedAt: Instant | undefined;

  begin(now: Instant): void {
    this.#startedAt = now;
  }

  end(): void {
    this.#startedAt = undefined;
  }

  /** Percent of its share, 10 … 100. */
  part(now: Instant, overMs: number): number {
    if (this.#startedAt === undefined) return WHOLE;
    const step = Math.floor((elapsedMs(this.#startedAt, now) * STEPS) / Math.max(overMs, 1));
    if (step >= STEPS) this.#startedAt = undefined;
    return step >= STEPS ? WHOLE : ((Math.max(step, 0) + 1) * WHOLE) / STEPS;
  }

  /** When the next step begins. Undefined: it takes all of its share. */
  deadline(now: Instant, overMs: number): Instant | undefined {
    if (this.#startedAt === undefined) return undefined;
    const stepMs = Math.max(overMs, 1) / STEPS;
    const done = Math.floor(elapsedMs(this.#startedAt, now) / stepMs + 1e-9);
    return after(this.#startedAt, (done + 1) * stepMs);
  }
}
