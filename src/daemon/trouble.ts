// What to do with a failure that no operator is waiting for: it is logged with its code, and the agent goes on. What fails
// again and again in the same way is said once, until it has succeeded.
import type { Logger } from "pino";
import { PanError, type ErrorCode } from "#base/error-codes.ts";

/** An operator's code, or the one for faults of our own and of the system. */
export function codeOf(error: unknown): ErrorCode {
  if (error instanceof PanError) return error.code;
  return error instanceof Error && "syscall" in error ? "PAN_SYSCALL" : "PAN_INTERNAL";
}

export const messageOf = (error: unknown): string =>
  error instanceof Error ? error.message : String(error);

export class Trouble {
  readonly #log: Pick<Logger, "error">;
  /** Last failure of each action; actions are literals of the code, so the map is bounded. */
  readonly #last = new Map<string, string>();

  constructor(log: Pick<Logger, "error">) {
    this.#log = log;
  }

  /** Does it; a failure is logged and goes no further. */
  guard(action: string, act: () => void): void {
    try {
      act();
      this.#last.delete(action);
    } catch (error) {
      this.report(action, error);
    }
  }

  report(action: string, error: unknown): void {
    const code = codeOf(error);
    const message = messageOf(error);
    if (this.#last.get(action) === message) return;
    this.#last.set(action, message);
    const stack = code === "PAN_INTERNAL" && error instanceof Error ? error.stack : undefined;
    this.#log.error({ code, ...(stack === undefined ? {} : { stack }) }, `${action}: ${message}`);
  }
}

/** Of an agent: it was told to end, or it could not go on. */
export const causeOfEnd = (
  failure: unknown,
): { readonly cause: "asked" } | { readonly cause: "failed"; readonly reason: string } =>
  failure === undefined ? { cause: "asked" } : { cause: "failed", reason: messageOf(failure) };
