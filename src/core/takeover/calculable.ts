// The part of a connection's state that is never sent (A16): the new owner calculates it when it takes the connection over. Published as
// a table; where the table says "send next" for what was sent and not acknowledged, ours is exact, because the new owner asks the peer.
import type { EssentialState } from "#wire/takeover/record.ts";

export interface CalculableState {
  readonly state: "ESTABLISHED";
  /** Timers; undefined: does not run. */
  readonly retransmitTimer: undefined;
  readonly twoMslTimer: undefined;
  readonly probeTimer: "now";
  readonly keepaliveTimer: "now";
  readonly sendUnacknowledged: number;
  readonly highestSent: number;
  readonly sendUrgent: number;
  readonly receiveWindow: number;
  readonly receiveUrgent: number;
  readonly lastAcknowledged: number;
  /** Slow start begins anew; no measurement is carried over. */
  readonly congestion: "initial";
  readonly roundTrip: "initial";
  readonly retransmissions: 0;
}

/** @param freeReceiveBuffer bytes */
export const calculable = (
  { sendNext, receiveNext }: EssentialState,
  freeReceiveBuffer: number,
): CalculableState => ({
  state: "ESTABLISHED",
  retransmitTimer: undefined,
  twoMslTimer: undefined,
  probeTimer: "now",
  keepaliveTimer: "now",
  sendUnacknowledged: sendNext,
  highestSent: sendNext,
  sendUrgent: sendNext,
  receiveWindow: freeReceiveBuffer,
  receiveUrgent: receiveNext,
  lastAcknowledged: receiveNext,
  congestion: "initial",
  roundTrip: "initial",
  retransmissions: 0,
});
