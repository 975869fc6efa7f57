// A node's monotonic clock: it starts anywhere and runs a little too fast or too slow. Nothing in the core may compare
// the clocks of two nodes, and this is what would show it.
import { instant, type Instant } from "#base/time.ts";

/** A deadline is met this much later, so that rounding never wakes a node before it. */
const AFTER_MS = 0.001;

export class NodeClock {
  readonly offsetMs: number;
  /** Milliseconds of this clock in one millisecond of true time. */
  readonly rate: number;

  constructor(offsetMs: number, rate: number) {
    this.offsetMs = offsetMs;
    this.rate = rate;
  }

  at(trueMs: number): Instant {
    return instant(this.offsetMs + trueMs * this.rate);
  }

  /** True time at which this clock has passed a deadline. */
  whenPast(deadline: Instant): number {
    return (deadline - this.offsetMs) / this.rate + AFTER_MS;
  }
}
