// How far a connection is known to somebody, in each direction.
import type { ConnectionLog } from "./connection-log.ts";

export interface Place {
  /** Offsets of the first byte that is not known. */
  readonly input: number;
  readonly output: number;
  /** Whether the end of the peer's stream is known. */
  readonly fin: boolean;
  /** How many of the connection's states are known. */
  readonly states: number;
  /** Whether the end of the output is known. */
  readonly end: boolean;
}

export const NOWHERE: Place = { input: 0, output: 0, fin: false, states: 0, end: false };

export const samePlace = (a: Place, b: Place): boolean =>
  a.input === b.input &&
  a.output === b.output &&
  a.fin === b.fin &&
  a.states === b.states &&
  a.end === b.end;

/** What both know. */
export const common = (a: Place, b: Place): Place => ({
  input: Math.min(a.input, b.input),
  output: Math.min(a.output, b.output),
  fin: a.fin && b.fin,
  states: Math.min(a.states, b.states),
  end: a.end && b.end,
});

/** What at least one of them knows. */
export const furthest = (a: Place, b: Place): Place => ({
  input: Math.max(a.input, b.input),
  output: Math.max(a.output, b.output),
  fin: a.fin || b.fin,
  states: Math.max(a.states, b.states),
  end: a.end || b.end,
});

export const placeOf = ({ input, output, states }: ConnectionLog): Place => ({
  input: input.end,
  output: output.end,
  fin: input.ended,
  states,
  end: output.ended,
});
