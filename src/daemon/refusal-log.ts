// Says whom the control channel refuses, and no more often than an operator can read: the first of each reason, then one line a minute.
import type { Logger } from "pino";
import { elapsedMs, type Instant } from "#base/time.ts";

const EVERY_MS = 60_000;

interface Said {
  readonly at: Instant;
  unsaid: number;
}

export class RefusalLog {
  readonly #log: Pick<Logger, "warn">;
  /** By reason; reasons are literals of the code, so the map is bounded. */
  readonly #said = new Map<string, Said>();

  constructor(log: Pick<Logger, "warn">) {
    this.#log = log;
  }

  refused(now: Instant, reason: string, from: string): void {
    const said = this.#said.get(reason);
    if (said !== undefined && elapsedMs(said.at, now) < EVERY_MS) {
      said.unsaid += 1;
      return;
    }
    const more = said === undefined || said.unsaid === 0 ? {} : { unsaid: said.unsaid };
    this.#log.warn({ reason, from, ...more }, "control channel: connection refused");
    this.#said.set(reason, { at: now, unsaid: 0 });
  }
}
