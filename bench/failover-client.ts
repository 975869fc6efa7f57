// The benchmark's end of the prober: starts it in the client's namespace and keeps what it saw.
import type { ChildProcess } from "node:child_process";
import path from "node:path";
import { createInterface } from "node:readline";
import type { Lab } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";
import {
  type Attempt,
  monotonicMs,
  outageOf,
  type Outage,
  parseAttempt,
} from "./failover-attempts.ts";

/** A lost SYN is repeated after a second at the earliest, so no attempt outlives the limit by being repeated. */
const LIMIT_MS = 150;
const PERIOD_MS = 2;
/** Some minutes of attempts; older ones are forgotten. */
const MOST_ATTEMPTS = 500_000;

export const pause = (ms: number): Promise<void> =>
  new Promise((resolve) => setTimeout(resolve, ms));

export class ProbingClient {
  readonly #child: ChildProcess;
  #attempts: Attempt[] = [];

  constructor(lab: Lab, addresses: readonly string[], periodMs: number = PERIOD_MS) {
    const program = path.join(import.meta.dirname, "failover-prober.ts");
    const argv = [process.execPath, program, String(periodMs), String(LIMIT_MS), ...addresses];
    this.#child = lab.spawn(STANDARD.client, argv, { stdio: ["ignore", "pipe", "inherit"] });
    if (this.#child.stdout === null) throw new Error("the prober has no output");
    createInterface(this.#child.stdout).on("line", (line) => {
      this.#attempts.push(parseAttempt(line));
      if (this.#attempts.length > MOST_ATTEMPTS) this.#attempts.splice(0, MOST_ATTEMPTS / 2);
    });
  }

  /** What the client sees of what happens at `deathAt` within `watchMs`; waits for that long. */
  async watch(address: string, deathAt: number, watchMs: number): Promise<Outage> {
    const until = deathAt + watchMs;
    await pause(Math.max(0, until - monotonicMs()) + 2 * LIMIT_MS);
    return outageOf(this.#of(address), deathAt, until);
  }

  /** Waits until every attempt of the last `calmMs` succeeded; gives the server of the last one. */
  async calm(address: string, calmMs: number, limitMs = 30_000): Promise<string> {
    const giveUp = monotonicMs() + limitMs;
    const begin = monotonicMs();
    for (;;) {
      await pause(50);
      const now = monotonicMs();
      const recent = this.#of(address).filter(({ endedAt }) => endedAt > now - calmMs);
      const last = recent.at(-1)?.server;
      const served = recent.every(({ server }) => server !== undefined);
      if (now - begin >= calmMs && served && last !== undefined) return last;
      if (now > giveUp) throw new Error(`The client was not served for ${calmMs} ms in a row`);
    }
  }

  failedSince(moment: number): number {
    return this.#attempts.filter((a) => a.startedAt >= moment && a.server === undefined).length;
  }

  attemptsSince(moment: number): number {
    return this.#attempts.filter(({ startedAt }) => startedAt >= moment).length;
  }

  /** Forgets all, so that looking through the attempts stays cheap. */
  forget(): void {
    this.#attempts = [];
  }

  stop(): void {
    this.#child.kill("SIGTERM");
  }

  #of(address: string): Attempt[] {
    return this.#attempts.filter((attempt) => attempt.address === address);
  }
}
