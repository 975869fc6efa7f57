// A connection that this process serves, and what its session may ask of the engine (A16).
import { type Instant } from "#base/time.ts";
import { isLater } from "#base/sequence.ts";
import { progressOf } from "#core/takeover/progress.ts";
import type { ProbeSegment, Resumed } from "#core/takeover/resumption.ts";
import type { SessionControl, SessionWire } from "#driver/bpf/session-program.ts";
import type { BareSegment } from "#wire/takeover/bare-segment.ts";
import { MAX_PIECE } from "#wire/takeover/frame.ts";
import type { Opened, OwnerMessage } from "#wire/takeover/message.ts";
import type { Asker } from "./peer-watch.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { Session, SessionHost, SessionStart } from "./session.ts";

export interface Serving {
  /** With a clock that was read on this machine. */
  readonly opened: Opened;
  /** Once accepted. */
  session: Session | undefined;
  /** What may be acknowledged, as the program was told last. */
  committed: number;
  guarded: boolean;
  protected: boolean;
  /** No replica holds it. */
  alone: boolean;
  /** What came in, and what of the output the peer has, as told last. */
  received: number;
  inputEnded: boolean;
  delivered: number;
  /** What every replica holds. */
  states: number;
  outputEnded: boolean;
  /** A restored socket that is not going yet: it waits until what it will acknowledge is with the replicas. */
  begin: { readonly at: number; readonly go: () => void; readonly dismiss: () => void } | undefined;
}

export const serving = (opened: Opened, committed: number): Serving => ({
  ...{ opened, session: undefined, committed, guarded: true, protected: true, alone: false },
  ...{
    received: 0,
    inputEnded: false,
    delivered: 0,
    states: 0,
    outputEnded: false,
    begin: undefined,
  },
});

export interface ServingActions {
  readonly now: () => Instant;
  readonly happened: (message: OwnerMessage) => void;
  readonly unguard: () => void;
  readonly watch: (asker: Asker) => void;
  readonly closed: () => void;
}

/** Where the connection is by now, for its replicas. */
export const progressNow = ({ opened, received, delivered }: Serving, at: Instant): OwnerMessage =>
  progressOf(opened.connection, opened, { inputOffset: received, outputOffset: delivered }, at);

export function hostOf(served: Serving, actions: ServingActions): SessionHost {
  const { happened } = actions;
  const { connection } = served.opened;
  const inPieces = (type: "input" | "output", offset: number, bytes: Uint8Array): void => {
    for (let at = 0; at < bytes.byteLength; at += MAX_PIECE) {
      const piece = bytes.slice(at, at + MAX_PIECE);
      happened({ type, connection, offset: offset + at, bytes: piece });
    }
  };
  return {
    input: (bytes) => {
      const offset = served.received;
      served.received += bytes.byteLength;
      inPieces("input", offset, bytes);
    },
    inputEnded: () => {
      served.inputEnded = true;
      happened({ type: "input-ended", connection, offset: served.received });
    },
    output: (offset, bytes) => inPieces("output", offset, bytes),
    snapshot: (snapshot) => happened({ type: "snapshot", connection, snapshot }),
    outputEnded: (offset) => happened({ type: "output-ended", connection, offset }),
    progress: (outputOffset) => {
      served.delivered = outputOffset;
      happened(progressNow(served, actions.now()));
    },
    ...actions,
  };
}

const nothing = (): void => {};
/** Of a connection of whose beginning nothing was told. */
export const UNPROTECTED: SessionHost = {
  ...{ input: nothing, inputEnded: nothing, output: nothing, snapshot: nothing },
  ...{ outputEnded: nothing, progress: nothing, unguard: nothing, watch: nothing, closed: nothing },
};

/** Where a session goes on: at what the peer has, from its last state. */
export function startOf(resumed: Resumed): SessionStart {
  const { snapshot, outputOffset, resend, input, inputEnded, finAcknowledged } = resumed;
  return {
    resumed: true,
    state: snapshot?.bytes,
    inputOffset: snapshot?.inputOffset ?? 0,
    outputOffset: snapshot?.outputOffset ?? 0,
    delivered: outputOffset,
    ...{ resend, input, inputEnded, finAcknowledged },
    ended: resumed.outputEnd !== undefined,
    endsAt: resumed.outputEnd,
    states: snapshot === undefined ? 0 : 1,
  };
}

/** What the session program is to do for it. */
export const controlOf = ({ committed, guarded, protected: clamp }: Serving): SessionControl => ({
  ...{ clamp, guard: guarded && clamp, shield: false, mute: false, committed },
});

export function probeOf({ timestamp, ...probe }: ProbeSegment): BareSegment {
  const timestamps = timestamp === undefined ? undefined : { value: timestamp, echo: 0 };
  return { ...probe, window: 0, timestamps, garbage: true };
}

/** What acknowledges so much, when nothing that has left does; undefined: something has. */
export function acknowledgementOf(
  key: ConnectionKey,
  acknowledgement: number,
  wire: SessionWire | undefined,
): BareSegment | undefined {
  if (wire === undefined || wire.held === 0) return undefined;
  if (!isLater(acknowledgement, wire.lastAcknowledgement)) return undefined;
  const { lastTimestamp: value, lastEcho: echo, lastWindow: window } = wire;
  return {
    ...{ key, sequence: wire.lastSequenceEnd, acknowledgement, window, garbage: false },
    timestamps: value === 0 ? undefined : { value, echo },
  };
}
