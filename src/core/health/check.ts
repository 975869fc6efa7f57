// One health check of one service group on this node (B7): when it runs next, and what its results mean. So many failures in a row (fall)
// make it fail, so many successes (rise) make it pass again. At first nothing is known: then one success is enough, while a failure
// counts as any other, so that a check that is new, or wrong, does not take a working instance away at its first run.
//
// One run at a time. The driver ends a run after its timeout; a run of which nothing is heard for longer has failed, too, so that a check
// never stands still.
import { after, type Instant } from "#base/time.ts";

export interface CheckTiming {
  /** From the start of one run to the start of the next. */
  readonly intervalMs: number;
  readonly timeoutMs: number;
  readonly rise: number;
  readonly fall: number;
}

export interface CheckResult {
  readonly ok: boolean;
  /** What was found, for people. */
  readonly reason: string;
}

export type CheckState = "unknown" | "passes" | "fails";

/** How long after its timeout a run is given up. */
export const GRACE_MS = 2000;

export class Check {
  readonly #timing: CheckTiming;
  #state: CheckState = "unknown";
  #streak = 0;
  #reason = "";
  #failure = "";
  /** Of the run that is under way, or else of the next one. */
  #deadline: Instant;
  #startedAt: Instant | undefined;
  #run = 0;

  /** @param firstAt when it runs for the first time; spread by the caller, so that not all run in the same moment */
  constructor(timing: CheckTiming, firstAt: Instant) {
    this.#timing = timing;
    this.#deadline = firstAt;
  }

  get state(): CheckState {
    return this.#state;
  }

  /** What its last run found. */
  get reason(): string {
    return this.#reason;
  }

  /** What the last run found that failed. */
  get failure(): string {
    return this.#failure;
  }

  get isRunning(): boolean {
    return this.#startedAt !== undefined;
  }

  /** When to start a run, or to give up the one under way. */
  get deadline(): Instant {
    return this.#deadline;
  }

  /** Starts a run; answers its number. */
  start(now: Instant): number {
    this.#startedAt = now;
    this.#deadline = after(now, this.#timing.timeoutMs + GRACE_MS);
    this.#run += 1;
    return this.#run;
  }

  /** False: not the run under way, and nothing has changed. */
  finished(now: Instant, run: number, result: CheckResult): boolean {
    if (this.#startedAt === undefined || run !== this.#run) return false;
    this.#deadline = this.#nextAfter(now, this.#startedAt);
    this.#startedAt = undefined;
    this.#reason = result.reason;
    if (!result.ok) this.#failure = result.reason;
    this.#count(result.ok);
    return true;
  }

  /** The run under way never came to an end. */
  giveUp(now: Instant): void {
    this.finished(now, this.#run, { ok: false, reason: "the check never came to an end" });
  }

  #nextAfter(now: Instant, startedAt: Instant): Instant {
    const due = after(startedAt, this.#timing.intervalMs);
    return due < now ? now : due;
  }

  #count(ok: boolean): void {
    const agrees = ok ? this.#state === "passes" : this.#state === "fails";
    if (agrees) {
      this.#streak = 0;
      return;
    }
    // in the unknown state a streak is one of failures: the first success ends it
    this.#streak += 1;
    const needed = ok ? (this.#state === "unknown" ? 1 : this.#timing.rise) : this.#timing.fall;
    if (this.#streak < needed) return;
    this.#state = ok ? "passes" : "fails";
    this.#streak = 0;
  }
}
