// Who left and why, for `pan status`: the last few departures, newest first.
import { MAX_FAILOVERS, type Status } from "#api/status.ts";
import type { NodeId } from "#base/ids.ts";

interface Entry {
  readonly at: Date;
  readonly id: NodeId;
  reason: string;
}

export class FailoverLog {
  readonly #entries: Entry[] = [];
  #watchdogExpiries = 0;

  get watchdogExpiries(): number {
    return this.#watchdogExpiries;
  }

  departed(at: Date, id: NodeId, reason: string): void {
    if (reason === "silent") this.#watchdogExpiries += 1;
    this.#entries.unshift({ at, id, reason });
    if (this.#entries.length > MAX_FAILOVERS) this.#entries.pop();
  }

  /** Certainty about a departure that is already listed. */
  confirmed(id: NodeId, reason: string): void {
    const entry = this.#entries.find((candidate) => candidate.id === id);
    if (entry !== undefined) entry.reason = reason;
  }

  newestFirst(nameOf: (id: NodeId) => string | undefined): Status["failovers"] {
    return this.#entries.map(({ at, id, reason }) => ({
      at: at.toISOString(),
      node: nameOf(id) ?? `node ${id}`,
      reason,
    }));
  }
}
