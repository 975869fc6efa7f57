// Decides when a peer that says nothing is dead (A9, A12). Silence is counted from the kernel's arrival time
// of the last message. Beyond the specification: when 60 % of the detection interval have passed in
// silence, up to seven probes are sent over the rest of it, and the peer answers each at once. Random loss would
// have to hit all of them too, so false alarms vanish while detection gets no later. (Three were not enough: 7 false
// alarms in 50 simulated hours at 5 % loss.)
import { after, type Instant } from "#base/time.ts";
import type { Departure } from "./types.ts";

/** Shares of the detection interval after which a silent peer is probed. */
const PROBES = [0.6, 0.66, 0.72, 0.78, 0.84, 0.9, 0.95] as const;
const [FIRST_PROBE] = PROBES;

export type Verdict = "waiting" | "probe" | "expired";

export class Silence {
  #intervalMs: number;
  #heard: Instant;
  /** The time from which probes and expiry are counted: `#heard`, or later after a stall of our own. */
  #start: Instant;
  #probes = 0;
  #excused = false;
  #isRefused = false;

  constructor(intervalMs: number, now: Instant) {
    this.#intervalMs = intervalMs;
    this.#heard = now;
    this.#start = now;
  }

  set intervalMs(value: number) {
    this.#intervalMs = value;
  }

  get lengthSince(): Instant {
    return this.#heard;
  }

  /** When to call `check` next. */
  get deadline(): Instant {
    const share = PROBES[this.#probes] ?? 1;
    return after(this.#start, share * this.#intervalMs);
  }

  /** Whether the silence is so long that the peer is being probed. */
  isProbing(now: Instant): boolean {
    return now >= after(this.#heard, FIRST_PROBE * this.#intervalMs);
  }

  /** When the peer has been silent for the whole interval, whatever this node itself was doing. */
  get endsAt(): Instant {
    return after(this.#heard, this.#intervalMs);
  }

  /** Longer than half the detection interval: enough to agree with somebody who misses the peer (A12). */
  isDoubtful(now: Instant): boolean {
    return now > after(this.#heard, this.#intervalMs / 2);
  }

  /**
   * Its machine says that nobody listens there. It shortens nothing: the right to take frames outlives an agent that was
   * killed by almost the whole interval (docs/adr/0008). Of a peer that was just heard it is not believed.
   */
  refused(now: Instant): void {
    if (this.isProbing(now)) this.#isRefused = true;
  }

  /** What the silence means once it has expired. */
  get cause(): Departure {
    return this.#isRefused ? "agent-down" : "silent";
  }

  /** @param at arrival in the kernel */
  heard(at: Instant): void {
    if (at < this.#heard) return;
    this.#heard = at;
    this.#start = at;
    this.#probes = 0;
    this.#excused = false;
    this.#isRefused = false;
  }

  /**
   * This node itself did not run for a while, so nobody was probed and a machine that slept heard nothing. The
   * peer gets the time of all probes from now on; once in a silence, or an overloaded node would never detect.
   */
  excuse(now: Instant): void {
    if (this.#excused || !this.isProbing(now)) return;
    this.#excused = true;
    this.#start = after(now, -FIRST_PROBE * this.#intervalMs);
    this.#probes = 0;
  }

  check(now: Instant): Verdict {
    if (now >= after(this.#start, this.#intervalMs)) return "expired";
    if (this.#probes >= PROBES.length || now < this.deadline) return "waiting";
    this.#probes += 1;
    return "probe";
  }
}
