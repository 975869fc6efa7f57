// One attempt with a time limit: the first result counts, and what was opened for it is closed in any case.
import type { CheckResult } from "#core/health/check.ts";

export interface Attempt {
  /** The first call counts. */
  readonly found: (ok: boolean, reason: string) => void;
  /** Something went wrong. */
  readonly failed: (error: unknown) => void;
}

export interface AttemptLimits {
  readonly timeoutMs: number;
  readonly signal: AbortSignal;
}

/** `begin` starts it and answers how to end it; that is called once, after the result. Never rejects. */
export function attempt(
  { timeoutMs, signal }: AttemptLimits,
  begin: (attempt: Attempt) => () => void,
): Promise<CheckResult> {
  return new Promise((resolve) => {
    let end: (() => void) | undefined;
    let result: CheckResult | undefined;
    const found = (ok: boolean, reason: string): void => {
      if (result !== undefined) return;
      result = { ok, reason };
      clearTimeout(timer);
      signal.removeEventListener("abort", abort);
      end?.();
      resolve(result);
    };
    const abort = (): void => found(false, "ended early");
    const failed = (error: unknown): void => found(false, inWords(error));
    const timer = setTimeout(() => found(false, `no answer within ${timeoutMs} ms`), timeoutMs);
    signal.addEventListener("abort", abort);
    if (signal.aborted) return abort();
    try {
      end = begin({ found, failed });
      if (result !== undefined) end(); // it ended while it began
    } catch (error) {
      failed(error);
    }
  });
}

const MAX_WORDS = 120;
const WORDS: Readonly<Record<string, string>> = {
  ECONNREFUSED: "connection refused",
  ECONNRESET: "connection reset",
  EHOSTUNREACH: "no way to the address",
  ENETUNREACH: "no way to the address",
  EADDRNOTAVAIL: "the node does not have the address",
  EPIPE: "connection closed",
  HPE_INVALID_CONSTANT: "the answer is not HTTP",
};

/** Short, on one line. */
export function inWords(error: unknown): string {
  if (!(error instanceof Error)) return String(error);
  const { code = "" } = error as NodeJS.ErrnoException;
  return oneLine(WORDS[code] ?? (error.message === "" ? code : error.message));
}

/** What a program printed goes to a terminal: no control characters (\p{Cc}). */
export const oneLine = (text: string): string =>
  text
    .replaceAll(/\p{Cc}+/gu, " ")
    .trim()
    .slice(0, MAX_WORDS);
