// Says whom the control channel refuses, in the log and in the event log, and no more often than an operator can read.
import type { Logger } from "pino";
import type { Instant } from "#base/time.ts";
import { Seldom } from "./seldom.ts";

export interface Refusal {
  readonly reason: string;
  readonly from: string;
  /** Refused for the same reason since the last one that was told; absent: none. */
  readonly unsaid?: number;
}

export class RefusalLog {
  readonly #log: Pick<Logger, "warn">;
  readonly #record: (refusal: Refusal) => void;
  readonly #seldom = new Seldom();

  constructor(log: Pick<Logger, "warn">, record: (refusal: Refusal) => void) {
    this.#log = log;
    this.#record = record;
  }

  refused(now: Instant, reason: string, from: string): void {
    const unsaid = this.#seldom.ask(now, reason);
    if (unsaid === undefined) return;
    const refusal = { reason, from, ...(unsaid === 0 ? {} : { unsaid }) };
    this.#log.warn(refusal, "control channel: connection refused");
    this.#record(refusal);
  }
}
