// A connection that this process serves, and what its session may ask of the engine (A16).
import { type Instant } from "#base/time.ts";
import { progressOf } from "#core/takeover/progress.ts";
import { MAX_PIECE } from "#wire/takeover/frame.ts";
import type { Opened, OwnerMessage } from "#wire/takeover/message.ts";
import { now } from "./clock.ts";
import type { Asker } from "./peer-watch.ts";
import type { Session, SessionHost } from "./session.ts";

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
  delivered: number;
  /** What every replica holds. */
  states: number;
  outputEnded: boolean;
}

export const serving = (opened: Opened, committed: number): Serving => ({
  ...{ opened, session: undefined, committed, guarded: true, protected: true, alone: false },
  ...{ received: 0, delivered: 0, states: 0, outputEnded: false },
});

export interface ServingActions {
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
    inputEnded: () => happened({ type: "input-ended", connection, offset: served.received }),
    output: (offset, bytes) => inPieces("output", offset, bytes),
    snapshot: (snapshot) => happened({ type: "snapshot", connection, snapshot }),
    outputEnded: (offset) => happened({ type: "output-ended", connection, offset }),
    progress: (outputOffset) => {
      served.delivered = outputOffset;
      happened(progressNow(served, now()));
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
