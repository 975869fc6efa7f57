// How far a connection is known to somebody, in each direction.
import type { ConnectionLog } from "./connection-log.ts";

export interface Place {
  /** Offsets of the first byte that is not known. */
  readonly input: number;
  readonly output: number;
  /** Whether the end of the peer's stream is known. */
  readonly fin: boolean;
}

export const NOWHERE: Place = { input: 0, output: 0, fin: false };

export const samePlace = (a: Place, b: Place): boolean =>
  a.input === b.input && a.output === b.output && a.fin === b.fin;

/** What both know. */
export const common = (a: Place, b: Place): Place => ({
  input: Math.min(a.input, b.input),
  output: Math.min(a.output, b.output),
  fin: a.fin && b.fin,
});

/** What at least one of them knows. */
export const furthest = (a: Place, b: Place): Place => ({
  input: Math.max(a.input, b.input),
  output: Math.max(a.output, b.output),
  fin: a.fin || b.fin,
});

export const placeOf = ({ input, output }: ConnectionLog): Place => ({
  input: input.end,
  output: output.end,
  fin: input.ended,
});
