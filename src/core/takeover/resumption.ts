// One connection on its way to a new owner. Its peer knows best where it stands, so it is asked: a byte below the peer's window is
// answered with the peer's acknowledgement, sequence, window and timestamps (RFC 9293 section 3.10.7.4), and the socket is made at
// exactly those numbers. What the peer has is never sent again; what it lacks is, as new data.
import { advance, distance, isLater, later, offsetOf } from "#base/sequence.ts";
import { after, type Instant } from "#base/time.ts";
import type { Snapshot } from "#wire/takeover/message.ts";
import type { ConnectionKey, EssentialState, InitialState } from "#wire/takeover/record.ts";
import { clockValue } from "./clock.ts";
import { type CalculableState, calculable } from "./calculable.ts";
import type { ConnectionLog } from "./connection-log.ts";
import type { HeldConnection } from "./replica.ts";

/** Milliseconds after the first. Some get lost, or their answer goes where the dead owner was: peers and switches need a moment to learn. */
const PROBES_MS: readonly number[] = [
  ...[0, 10, 20, 30, 50, 70, 100, 150, 200, 300, 400],
  ...[600, 800, 1200, 1800, 2400, 3600, 5000],
];
const GIVE_UP_MS = 8000;
/** The peer drops what has a timestamp older than its last: ours is ahead of any that the old owner can have sent. */
const TIMESTAMP_LEAD_MS = 60_000;

/**
 * A segment with one old byte to the peer; fields as on the wire. Without a byte a peer that has just answered one says nothing for half a
 * second (RFC 5961 section 7).
 */
export interface ProbeSegment {
  readonly key: ConnectionKey;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Undefined: the connection has no timestamps. */
  readonly timestamp: number | undefined;
}

/** A segment from the peer; fields as on the wire. */
export interface PeerSegment {
  readonly sequence: number;
  readonly acknowledgement: number;
  /** Not scaled. */
  readonly window: number;
  readonly timestamps: { readonly value: number; readonly echo: number } | undefined;
  readonly reset: boolean;
}

/** Everything that makes the socket and the application go on. */
export interface Resumed {
  readonly initial: InitialState;
  readonly essential: EssentialState;
  readonly calculable: CalculableState;
  /** The timestamp to begin with. */
  readonly timestamp: number | undefined;
  readonly snapshot: Snapshot | undefined;
  readonly input: readonly { readonly offset: number; readonly bytes: Uint8Array }[];
  /** Copied output that the peer lacks, up to where the snapshot is. */
  readonly resend: readonly Uint8Array[];
  readonly inputEnded: boolean;
  /** The application had ended its stream at this offset; undefined: it had not. */
  readonly outputEnd: number | undefined;
  /** The peer has our FIN: nothing is to be sent any more. */
  readonly finAcknowledged: boolean;
  /** Offset of the first byte that the peer lacks: what the application makes before it is not sent. */
  readonly outputOffset: number;
}

export type ResumptionInput =
  | { readonly type: "begin" | "tick" }
  | { readonly type: "peer"; readonly segment: PeerSegment };

export type ResumptionEffect =
  | { readonly type: "probe"; readonly segment: ProbeSegment }
  | { readonly type: "restore"; readonly resumed: Resumed }
  /** The peer has no such connection, does not answer, or lacks bytes that nobody has. */
  | { readonly type: "lost"; readonly reason: "reset" | "silent" | "incomplete" };

export class Resumption {
  readonly #log: ConnectionLog;
  readonly #clockAt: Instant;
  readonly #freeReceiveBuffer: number;
  #began: Instant | undefined;
  #probes = 0;
  #over = false;
  /** What the peer said last fits nothing that is known. */
  #incomplete = false;

  /** @param freeReceiveBuffer bytes */
  constructor({ log, clockAt }: HeldConnection, freeReceiveBuffer: number) {
    this.#log = log;
    this.#clockAt = clockAt;
    this.#freeReceiveBuffer = freeReceiveBuffer;
  }

  get isBegun(): boolean {
    return this.#began !== undefined;
  }

  get deadline(): Instant | undefined {
    if (this.#over || this.#began === undefined) return undefined;
    return after(this.#began, PROBES_MS[this.#probes] ?? GIVE_UP_MS);
  }

  step(now: Instant, input: ResumptionInput): ResumptionEffect[] {
    if (this.#over || (!this.isBegun && input.type !== "begin")) return [];
    if (input.type === "peer") return this.#heard(now, input.segment);
    if (input.type === "begin") this.#began = now;
    const { deadline } = this;
    if (deadline === undefined || now < deadline) return [];
    if (this.#probes === PROBES_MS.length) {
      return this.#finish({ type: "lost", reason: this.#incomplete ? "incomplete" : "silent" });
    }
    this.#probes += 1;
    return [{ type: "probe", segment: this.#probe(now) }];
  }

  #finish(effect: ResumptionEffect): ResumptionEffect[] {
    this.#over = true;
    return [effect];
  }

  get #known(): EssentialState {
    return (this.#log.progress ?? this.#log.opened).essential;
  }

  /** What the old owner's clock of timestamps shows by now. */
  #ownTimestamp(now: Instant): number | undefined {
    if (!this.#known.flags.timestampsReceived) return undefined;
    const { clock } = this.#log.progress ?? this.#log.opened;
    return clockValue(clock.value, this.#clockAt, now);
  }

  /** The first byte from the peer that nobody has. */
  get #receiveNext(): number {
    const { end, ended } = this.#log.input;
    return advance(this.#log.opened.essential.receiveNext, end + (ended ? 1 : 0));
  }

  #probe(now: Instant): ProbeSegment {
    const own = this.#ownTimestamp(now);
    return {
      key: this.#log.opened.initial.key,
      // Acknowledged by the peer at that time. It ends a byte before its window: what touches the window would be taken in, with our
      // timestamp that is ahead.
      sequence: advance(this.#known.wl2, -2),
      acknowledgement: this.#receiveNext,
      timestamp: own === undefined ? undefined : advance(own, TIMESTAMP_LEAD_MS),
    };
  }

  #heard(now: Instant, segment: PeerSegment): ResumptionEffect[] {
    if (segment.reset) return this.#finish({ type: "lost", reason: "reset" });
    // Older than what the peer once acknowledged: a segment that was long on its way.
    if (distance(this.#known.wl2, segment.acknowledgement) < 0) return [];
    const resumed = this.#resumed(now, segment);
    // A segment from before, or bytes that nobody has: the next answer tells.
    this.#incomplete = resumed === undefined;
    return resumed === undefined ? [] : this.#finish({ type: "restore", resumed });
  }

  #resumed(now: Instant, segment: PeerSegment): Resumed | undefined {
    const { opened, input, output, snapshot, progress } = this.#log;
    const essential = this.#essential(segment);
    const own = this.#ownTimestamp(now);
    const echo = segment.timestamps?.echo;
    const isBehind = own !== undefined && echo !== undefined;
    const outputEnd = output.ended ? output.end : undefined;
    const sendBase = opened.essential.sendNext;
    const near = progress?.outputOffset ?? 0;
    const acknowledged = offsetOf(segment.acknowledgement, sendBase, near);
    const finAcknowledged = outputEnd !== undefined && acknowledged > outputEnd;
    const outputOffset = finAcknowledged ? outputEnd : acknowledged;
    const resend = missingPieces(output.pieces, outputOffset, snapshot?.outputOffset ?? 0);
    if (resend === undefined) return undefined;
    return {
      initial: opened.initial,
      essential,
      calculable: calculable(essential, this.#freeReceiveBuffer),
      timestamp: isBehind ? later(own, advance(echo, 1)) : own,
      snapshot,
      input: input.pieces,
      resend,
      inputEnded: input.ended,
      outputEnd,
      finAcknowledged,
      outputOffset,
    };
  }

  #essential(segment: PeerSegment): EssentialState {
    const known = this.#known;
    const receiveNext = this.#receiveNext;
    return {
      ...known,
      sendNext: segment.acknowledgement,
      // The peer may have sent on; no segment from before what we have is to change the window.
      wl1: isLater(segment.sequence, receiveNext) ? receiveNext : segment.sequence,
      wl2: segment.acknowledgement,
      sendWindow: segment.window << known.sendScale,
      receiveNext,
      receiveAdvertised: advance(receiveNext, this.#freeReceiveBuffer),
      recentTimestamp: segment.timestamps?.value ?? known.recentTimestamp,
    };
  }
}

/** Bytes `from` … `to` of these pieces; undefined: some are in none of them. */
function missingPieces(
  pieces: readonly { readonly offset: number; readonly bytes: Uint8Array }[],
  from: number,
  to: number,
): Uint8Array[] | undefined {
  const found: Uint8Array[] = [];
  let at = from;
  for (const { offset, bytes } of pieces) {
    if (at >= to || offset > at) break;
    const piece = bytes.subarray(at - offset, to - offset);
    if (piece.byteLength > 0) found.push(piece);
    at += piece.byteLength;
  }
  return at < to ? undefined : found;
}
