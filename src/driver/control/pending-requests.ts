// Requests that wait for their answer, by id. Each ends exactly once: with the response, at its time limit, or when
// the connection ends.
import type { JsonValue } from "#wire/control/json.ts";
import { ControlError } from "./control-error.ts";

export interface ControlResponse {
  /** As in HTTP (RFC 9110). */
  readonly status: number;
  readonly body: JsonValue;
}

interface Pending {
  readonly resolve: (response: ControlResponse) => void;
  readonly reject: (error: ControlError) => void;
  readonly timer: NodeJS.Timeout;
}

const MAX_PENDING = 256;

export class PendingRequests {
  readonly #pending = new Map<number, Pending>();
  #lastId = 0;

  /** Undefined when too many wait already. */
  open(timeoutMs: number): { id: number; response: Promise<ControlResponse> } | undefined {
    if (this.#pending.size >= MAX_PENDING) return undefined;
    this.#lastId = (this.#lastId + 1) >>> 0;
    const id = this.#lastId;
    const response = new Promise<ControlResponse>((resolve, reject) => {
      const timer = setTimeout(
        () => this.fail(id, "timeout", "The master did not answer in time"),
        timeoutMs,
      );
      this.#pending.set(id, { resolve, reject, timer });
    });
    return { id, response };
  }

  /** An answer to a request that is not pending (too late, or never asked) is dropped. */
  settle(id: number, response: ControlResponse): void {
    this.#take(id)?.resolve(response);
  }

  fail(id: number, reason: ControlError["reason"], message: string): void {
    this.#take(id)?.reject(new ControlError(reason, message));
  }

  failAll(reason: ControlError["reason"], message: string): void {
    for (const id of this.#pending.keys()) this.fail(id, reason, message);
  }

  #take(id: number): Pending | undefined {
    const pending = this.#pending.get(id);
    clearTimeout(pending?.timer);
    this.#pending.delete(id);
    return pending;
  }
}
