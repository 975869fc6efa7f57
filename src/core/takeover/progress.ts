// Where a connection is by now, from what its owner knows: told to the replicas so that they forget what the peer has, and so that sequence
// numbers and timestamps stay unambiguous for whoever takes the connection over (A16).
import { advance, distance } from "#base/sequence.ts";
import { type Instant, instant } from "#base/time.ts";
import type { ConnectionNumber, Opened, Progress } from "#wire/takeover/message.ts";
import { clockValue } from "./clock.ts";

export interface Reached {
  readonly inputOffset: number;
  /** Acknowledged by the peer. */
  readonly outputOffset: number;
}

/** @param opened with a clock that was read on this machine */
export function progressOf(
  connection: ConnectionNumber,
  { essential, clock }: Pick<Opened, "essential" | "clock">,
  { inputOffset, outputOffset }: Reached,
  now: Instant,
): Progress {
  const sendNext = advance(essential.sendNext, outputOffset);
  const receiveNext = advance(essential.receiveNext, inputOffset);
  const advertised = distance(essential.receiveNext, essential.receiveAdvertised);
  return {
    type: "progress",
    connection,
    inputOffset,
    outputOffset,
    essential: {
      ...essential,
      ...{ sendNext, wl1: receiveNext, wl2: sendNext },
      ...{ receiveNext, receiveAdvertised: advance(receiveNext, advertised) },
    },
    clock: { value: clockValue(clock.value, instant(clock.readAtMs), now), readAtMs: now },
  };
}
