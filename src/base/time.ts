// Time as the core sees it: milliseconds of a clock that never goes back, handed in from outside.

/** A point in time, in milliseconds of the node's monotonic clock. Fractions are allowed. */
export type Instant = number & { readonly __unit: "instant-ms" };

export const instant = (ms: number): Instant => ms as Instant;
export const after = (start: Instant, durationMs: number): Instant =>
  (start + durationMs) as Instant;
export const elapsedMs = (from: Instant, to: Instant): number => to - from;

type Deadline = Instant | undefined;

const sooner = (a: Deadline, b: Deadline): Deadline =>
  b !== undefined && (a === undefined || b < a) ? b : a;

/** The earliest of two or three deadlines; undefined means "no timer needed". Asked for all the time, hence no list. */
export const earliest = (a: Deadline, b: Deadline, c?: Deadline): Deadline =>
  sooner(sooner(a, b), c);
