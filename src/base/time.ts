// Time as the core sees it: milliseconds of a clock that never goes back, handed in from outside.

/** A point in time, in milliseconds of the node's monotonic clock. Fractions are allowed. */
export type Instant = number & { readonly __unit: "instant-ms" };

export const instant = (ms: number): Instant => ms as Instant;
export const after = (start: Instant, durationMs: number): Instant =>
  (start + durationMs) as Instant;
export const elapsedMs = (from: Instant, to: Instant): number => to - from;

/** The earlier of several deadlines; undefined means "no timer needed". */
export function earliest(...deadlines: readonly (Instant | undefined)[]): Instant | undefined {
  let first: Instant | undefined;
  for (const deadline of deadlines) {
    if (deadline !== undefined && (first === undefined || deadline < first)) first = deadline;
  }
  return first;
}
