// Inputs, effects and settings of the membership machine: everything it can be told and can ask for.
import type { IpAddress } from "#base/address.ts";
import type { ConfigVersion, NodeId, TableVersion } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";
import type { SplitOfTwo } from "#base/split-of-two.ts";
import type { Message, RefusalReason } from "#wire/cluster/message.ts";
import type { Departure, Member, View } from "./types.ts";

/** A node that the configuration names (A2). */
export interface AdmittedNode {
  readonly id: NodeId;
  readonly name: string;
  readonly address: IpAddress;
  /** It is beyond the segment of the virtual addresses, so it is never master (docs/adr/0022). */
  readonly remote?: true;
}

export interface Detection {
  /** Silence of this length means death (A12). */
  readonly intervalMs: number;
  /** An offer that nobody objects to for this long makes a master (A3). */
  readonly offerMs: number;
}

export const DEFAULT_DETECTION: Detection = { intervalMs: 200, offerMs: 100 };

export interface MembershipSettings {
  readonly self: Member;
  /** Larger for a later start of the same node. */
  readonly boot: bigint;
  /** The highest epoch that this node has ever seen. */
  readonly epoch: number;
  readonly config: ConfigVersion;
  /** With this node. */
  readonly admitted: readonly AdmittedNode[];
  readonly detection: Detection;
  /** With whom this node was together when it ran last (docs/adr/0029); absent: not known, so it is nobody's minority. */
  readonly together?: readonly NodeId[];
  /** Absent: both. */
  readonly splitOfTwo?: SplitOfTwo | undefined;
}

/** How applications at the master are asked whether a node may join (A10). */
export interface VoteRule {
  /** How long they may think. */
  readonly withinMs: number;
  /** What holds when they have not answered by then. */
  readonly unanswered: "accept" | "refuse";
}

export type Verdict =
  | { readonly accepted: true }
  /** Which application, and why; one line. */
  | { readonly accepted: false; readonly text: string };

/** A message whose origin has been proved. */
export interface Received {
  readonly sender: NodeId;
  readonly boot: bigint;
  /** Rises with every message that the sender sends. */
  readonly counter: number;
  /** Source address of the datagram. */
  readonly from: IpAddress;
  /** When the kernel received it; silence is judged by this, not by when it was read (A12). */
  readonly at: Instant;
  readonly message: Message;
}

export type Input =
  | { readonly type: "message-received"; readonly received: Received }
  /** A join request whose certificate does not prove what it claims (A2). */
  | {
      readonly type: "stranger-refused";
      readonly from: IpAddress;
      readonly sender: NodeId;
      readonly boot: bigint;
      readonly request: number;
      readonly reason: RefusalReason;
    }
  /** The node's kernel answered that nobody listens: its machine lives, its agent does not. */
  | { readonly type: "port-unreachable"; readonly address: IpAddress }
  | { readonly type: "deadline-reached" }
  /** The main thread has handed over a group key that the master (or this master) uses. */
  | { readonly type: "key-available" }
  | {
      readonly type: "config-changed";
      readonly config: ConfigVersion;
      readonly admitted: readonly AdmittedNode[];
      readonly detection: Detection;
      readonly splitOfTwo?: SplitOfTwo | undefined;
    }
  /** Master: the tables it announces. Member: the tables in force here. */
  | { readonly type: "tables-published"; readonly version: TableVersion }
  /** A member's certificate was revoked, or its application asked for it to go. */
  | { readonly type: "expel"; readonly id: NodeId }
  /** Whether applications of this node want to be asked about joins, for when it is master (A10). */
  | { readonly type: "voters-changed"; readonly rule: VoteRule | undefined }
  /** What the applications of this node say to "vote-wanted". */
  | { readonly type: "join-voted"; readonly ballot: number; readonly verdict: Verdict }
  | { readonly type: "leave" };

/** Why a proved message was not acted upon; each has a counter. */
export type Ignored =
  | "replayed" // not newer than the last message of that sender
  | "unknown-sender" // not a node of the configuration
  | "wrong-address" // not sent from the address that the configuration gives the sender
  | "implausible" // an epoch far above all that was ever seen
  | "unreported-denial" // more join requests turned down than are reported one by one
  | "unexpected"; // no meaning in the present state, such as an answer to no question

export type Effect =
  | { readonly type: "send"; readonly to: IpAddress | "everyone"; readonly message: Message }
  | { readonly type: "view-changed"; readonly view: View }
  | { readonly type: "became-master"; readonly epoch: number }
  | { readonly type: "lost-mastership"; readonly to: NodeId }
  /** The winner of two masters announces the VIPs again (A5). */
  | { readonly type: "announce-wanted" }
  /** Master only. */
  | { readonly type: "member-joined"; readonly member: Member }
  /** Master only: its slots may move at once. "silent" here is not yet certain. */
  | { readonly type: "member-departed"; readonly id: NodeId; readonly reason: Departure }
  /** Master only: the reason is final; after "silent" no connection on that machine lives. */
  | { readonly type: "departure-confirmed"; readonly id: NodeId; readonly reason: Departure }
  /** Master only: a machine that is no member's, and whose kernel answered so far, does not any more. */
  | { readonly type: "machine-gone"; readonly id: NodeId }
  /** Admitted: fetch the group key, configuration and tables from the master's control channel. */
  | { readonly type: "admitted-by"; readonly master: NodeId; readonly address: IpAddress }
  | {
      readonly type: "config-wanted";
      readonly version: ConfigVersion;
      readonly from: NodeId;
      /** Of that node, which an old configuration may not name. */
      readonly address: IpAddress;
    }
  /** `text`: with the reason "application" its words. */
  | {
      readonly type: "refused";
      readonly by: NodeId;
      readonly reason: RefusalReason;
      readonly text?: string;
    }
  | {
      readonly type: "join-denied";
      readonly sender: NodeId;
      readonly address: IpAddress;
      readonly reason: RefusalReason;
      readonly text?: string;
    }
  /** Master only (A10): ask the applications, and say "join-voted". The node is told to wait meanwhile. */
  | {
      readonly type: "vote-wanted";
      readonly ballot: number;
      readonly id: NodeId;
      readonly address: IpAddress;
      readonly withinMs: number;
    }
  /** The ballot is over, decided by the rule: the applications took too long. */
  | {
      readonly type: "vote-unanswered";
      readonly ballot: number;
      readonly id: NodeId;
      readonly outcome: "accept" | "refuse";
    }
  /** Another machine uses this node's id or address. The later one stays out. */
  | {
      readonly type: "address-conflict";
      readonly address: IpAddress;
      readonly stayingOut: boolean;
    }
  | { readonly type: "ignored"; readonly reason: Ignored }
  /** The machine has said goodbye and will not act again. */
  | { readonly type: "left" };
