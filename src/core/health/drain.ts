// The deadline of a drain (B7): how long a node that is drained lets its connections finish, and when those that are left are closed.
// The time begins when this node hears of the drain; an agent that is started again begins anew, so that the clocks of machines do not
// matter, and nothing is ever closed too early.
import { after, type Instant } from "#base/time.ts";

/** Connections are closed again so long after some were: one may have been accepted meanwhile. */
export const CLOSE_AGAIN_MS = 1000;

export type Input =
  /** Undefined: not drained, or without a deadline. */
  | { readonly type: "configured"; readonly deadlineMs: number | undefined }
  /** After "close-connections". */
  | { readonly type: "closed"; readonly count: number }
  | { readonly type: "deadline-reached" };

export interface CloseConnections {
  readonly type: "close-connections";
}

export class Drain {
  #deadlineMs: number | undefined;
  #endsAt: Instant | undefined;
  #deadline: Instant | undefined;
  #closed = 0;

  get deadline(): Instant | undefined {
    return this.#deadline;
  }

  /** Undefined: nothing is going to be closed. In the past: it has been. */
  get endsAt(): Instant | undefined {
    return this.#endsAt;
  }

  isOver(now: Instant): boolean {
    return this.#endsAt !== undefined && now >= this.#endsAt;
  }

  /** Connections, since the start. */
  get closed(): number {
    return this.#closed;
  }

  step(now: Instant, input: Input): CloseConnections[] {
    switch (input.type) {
      case "configured":
        this.#configured(now, input.deadlineMs);
        return [];
      case "closed":
        this.#closed += input.count;
        if (this.#endsAt !== undefined && input.count > 0) {
          this.#deadline = after(now, CLOSE_AGAIN_MS);
        }
        return [];
      case "deadline-reached":
        if (this.#deadline === undefined || now < this.#deadline) return [];
        this.#deadline = undefined;
        return [{ type: "close-connections" }];
    }
  }

  /** Another configuration with the same deadline does not begin it anew. */
  #configured(now: Instant, deadlineMs: number | undefined): void {
    if (deadlineMs === this.#deadlineMs) return;
    this.#deadlineMs = deadlineMs;
    this.#endsAt = deadlineMs === undefined ? undefined : after(now, deadlineMs);
    this.#deadline = this.#endsAt;
  }
}
