// What the owner of a connection tells its replicas, and they answer (A16): frames on an ordered, reliable and authenticated stream
// (src/wire/framing.ts). Offsets count the bytes of one direction from the connection's first and have 53 bits. Little-endian payloads.
import type { NodeId } from "#base/ids.ts";
import type { EssentialState, InitialState, TimestampClock } from "./record.ts";

/** The owner's number for a connection on this stream; never used twice on it. */
export type ConnectionNumber = number;

/** What the application needs beside the input that follows, to go on where it was. */
export interface Snapshot {
  /** Input that the state has taken in. */
  readonly inputOffset: number;
  /** Output that the state has made. */
  readonly outputOffset: number;
  readonly bytes: Uint8Array;
}

interface OfConnection {
  readonly connection: ConnectionNumber;
}

/** The first message about a connection. The essential part is that of the handshake's end, so it says where both streams begin. */
export interface Opened extends OfConnection {
  readonly type: "opened";
  /** How often it has been taken over: of two members that say they serve it, the higher one does. 16 bits. */
  readonly generation: number;
  readonly initial: InitialState;
  readonly essential: EssentialState;
  readonly clock: TimestampClock;
}

/**
 * To a member that is to know of the connection and not to hold it (docs/adr/0033). Who holds it, and hears so, lets its copy go; `opened`
 * after it begins a copy.
 */
export interface Noted extends Omit<Opened, "type"> {
  readonly type: "noted";
}

/** Everything has been told that there was when the copy was begun. */
export interface Whole extends OfConnection {
  readonly type: "whole";
}

/** Where the connection is by now, so that 32 bits stay enough to tell. */
export interface Progress extends OfConnection {
  readonly type: "progress";
  readonly inputOffset: number;
  /** Acknowledged by the peer. */
  readonly outputOffset: number;
  readonly essential: EssentialState;
  readonly clock: TimestampClock;
}

/** Bytes from the peer, or (output) bytes to it that cannot be made again from input and snapshot. */
export interface StreamBytes extends OfConnection {
  readonly type: "input" | "output";
  readonly offset: number;
  readonly bytes: Uint8Array;
}

/** A FIN: nothing follows in this direction. */
export interface StreamEnd extends OfConnection {
  readonly type: "input-ended" | "output-ended";
  readonly offset: number;
}

export interface StateSnapshot extends OfConnection {
  readonly type: "snapshot";
  readonly snapshot: Snapshot;
}

/** The connection is over, or is not protected any more: the replica forgets it. */
export interface Closed extends OfConnection {
  readonly type: "closed";
}

/** Planned (A8): the owner speaks no more; the replica that gets this is the owner. Everything before it has been sent. */
export interface Handed extends OfConnection {
  readonly type: "handed";
}

/** From a replica: it holds what the first so many messages of the stream said. */
export interface Acknowledged {
  readonly type: "acknowledged";
  readonly messages: number;
}

/** From a replica: it holds nothing of this connection, because a limit was reached or messages contradict each other. */
export interface Refused extends OfConnection {
  readonly type: "refused";
  readonly reason: RefusalReason;
}

export type RefusalReason = "connections" | "bytes" | "contradiction";

/** To a member that may hold a connection of an owner that is gone, from the one that is to take it over and does not. */
export interface Wanted extends OfConnection {
  readonly type: "wanted";
  readonly owner: NodeId;
}

/** What the owner had told, once more, until its `whole`. Clocks are as of now. */
export interface Passed {
  readonly type: "passed";
  readonly owner: NodeId;
  readonly message: CopyMessage;
}

/** Not (wholly) here. */
export interface Lacking extends OfConnection {
  readonly type: "lacking";
  readonly owner: NodeId;
}

/** From a replica, of the stream that it comes back on: it is there (docs/adr/0034). */
export interface Present {
  readonly type: "present";
  /** A number of its own, rising. */
  readonly asked: number;
}

/** The owner's answer: everything before has been told, and for so long from the question on it counts on this replica. */
export interface Relied {
  readonly type: "relied";
  readonly asked: number;
  readonly forMs: number;
}

/** About one connection, from its owner. */
export type OwnerMessage =
  | Opened
  | Noted
  | Whole
  | Progress
  | StreamBytes
  | StreamEnd
  | StateSnapshot
  | Closed
  | Handed;
export type ReplicaMessage = Acknowledged | Refused;
/** What a copy consists of. */
export type CopyMessage = Exclude<OwnerMessage, Noted | Closed | Handed>;
/** On a stream to a member, and back on it. */
export type ToMember = OwnerMessage | Wanted;
export type FromMember = ReplicaMessage | Passed | Lacking;
export type ReplicationMessage = ToMember | FromMember | Present | Relied;
