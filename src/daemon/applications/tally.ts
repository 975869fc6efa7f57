// Counters of the interface for applications (A10), by reason. The reasons are literals of the code, so the map is bounded.

export const APPLICATION_COUNTS = [
  "connected",
  "closed",
  "rejected-protocol",
  "rejected-malformed",
  "rejected-too-long",
  "rejected-no-hello",
  "rejected-full",
  "slow", // did not read fast enough: disconnected; it gets a snapshot when it comes back
  "events",
  "votes", // joins that applications were asked about
  "votes-accepted",
  "votes-refused",
  "votes-unanswered", // decided by the configuration's rule
  "voters-gone", // an application ended, or a vote hook failed, before it had answered
  "answers-late", // to a vote that is over
  "hook-runs",
  "hook-failures", // ended with a status other than 0, or could not be started
  "hook-timeouts",
  "hook-refusals", // files that are not run: others could change them, or they cannot be looked at
  "hook-events-dropped", // more was waiting for hooks than is kept
  "hook-events-lost", // a fault of the agent: not all hooks were told
] as const;
export type ApplicationCount = (typeof APPLICATION_COUNTS)[number];

export class Tally {
  readonly #counts = new Map<ApplicationCount, number>();

  add(reason: ApplicationCount): void {
    this.#counts.set(reason, this.of(reason) + 1);
  }

  of(reason: ApplicationCount): number {
    return this.#counts.get(reason) ?? 0;
  }

  get list(): { readonly reason: string; readonly count: number }[] {
    return [...this.#counts].map(([reason, count]) => ({ reason, count }));
  }
}
