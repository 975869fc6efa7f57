// What nodes of a cluster say to each other over UDP (A2-A12), as values. The bytes are in codec.ts,
// proof of origin in driver/cluster/auth.ts.
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { ConfigVersion, NodeId, TableVersion } from "#base/ids.ts";

/** A member in a master's list. */
export interface RosterEntry {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

/** Which question an answer belongs to: never used twice, so that old answers can be told apart. */
export interface Nonce {
  readonly boot: bigint;
  readonly request: number;
}
/** Of what is said unasked: nobody starts with boot 0. */
export const UNASKED: Nonce = { boot: 0n, request: 0 };

/** The highest epoch there can be; whoever has reached it raises it no further. */
export const MAX_EPOCH = 2 ** 32 - 1;

/** In the order of their numbers on the wire. */
export const REFUSAL_REASONS = [
  "not-admitted", // not in the cluster's list of nodes
  "certificate", // not issued by the cluster's CA, expired, or not for this id and address
  "revoked",
  "duplicate", // another machine with this id or address is a member
  "full",
  "application", // an application at the master refused (A10); its words follow
] as const;
export type RefusalReason = (typeof REFUSAL_REASONS)[number];

/** Longest words of an application that refuses, in bytes of UTF-8. */
export const MAX_REFUSAL_TEXT = 200;

/** In the order of their numbers on the wire. */
export const EXIT_REASONS = [
  "not-a-member", // keepalives from a node that was not admitted, or was given up (A6)
  "configuration", // runs another configuration version than the cluster (A4)
  "refused", // certificate revoked, or no longer in the configuration
] as const;
export type ExitReason = (typeof EXIT_REASONS)[number];

/** Most members of a cluster. */
export const MAX_ROSTER = 512;
/** Entries of a member list that fit into one datagram, IPv4 or IPv6. */
export const ROSTER_PART = 48;

/** A2: may I join? Proof of identity travels with every discovery message. */
export interface JoinRequest {
  readonly type: "join-request";
  readonly request: number;
  /** The highest epoch that the node has seen; a new master must be above it. */
  readonly epoch: number;
  readonly config: ConfigVersion;
  readonly mac: MacAddress;
}
export interface JoinAccepted {
  readonly type: "join-accepted";
  readonly nonce: Nonce;
  readonly epoch: number;
  readonly config: ConfigVersion;
}
export interface JoinRefused {
  readonly type: "join-refused";
  readonly nonce: Nonce;
  readonly reason: RefusalReason;
  /** With the reason "application" only: which one, and why. At most MAX_REFUSAL_TEXT bytes. */
  readonly text?: string;
}
/** A10: operation in progress, ask again after a while. */
export interface JoinWait {
  readonly type: "join-wait";
  readonly nonce: Nonce;
  readonly retryMs: number;
}
/** A3: I shall be master unless somebody objects. */
export interface Offer {
  readonly type: "offer";
  readonly request: number;
  readonly epoch: number;
  readonly config: ConfigVersion;
  /** A12: the master that fell silent, 0 at a cold start. */
  readonly silent: NodeId;
}
/** A12: from a member that misses its master as well. */
export interface OfferAccepted {
  readonly type: "offer-accepted";
  readonly nonce: Nonce;
  readonly epoch: number;
  readonly config: ConfigVersion;
  readonly mac: MacAddress;
}
/**
 * A claim: answer to an offer and to another master; broadcast by every master now and then (A3, A5). It is a
 * question as well: who is master has to answer it with a claim of its own, and only answers are believed.
 */
export interface OtherMasterExists {
  readonly type: "other-master-exists";
  /** Of the offer or claim that this answers. */
  readonly nonce: Nonce;
  readonly request: number;
  readonly master: NodeId;
  readonly epoch: number;
  readonly config: ConfigVersion;
  /** Number of members, the master included; 0: the sender does not compete. */
  readonly members: number;
}
/** A4, A6: go back to join. */
export interface ExitRequest {
  readonly type: "exit-request";
  /** Of the join request that this answers. */
  readonly nonce: Nonce;
  readonly reason: ExitReason;
  /** The cluster's configuration. */
  readonly config: ConfigVersion;
}
/** A7. A list that does not fit is sent in parts, one in each keepalive. */
export interface MasterKeepalive {
  readonly type: "master-keepalive";
  readonly sequence: number;
  readonly epoch: number;
  readonly config: ConfigVersion;
  readonly tables: TableVersion;
  /** Silence of this length means death. */
  readonly detectionMs: number;
  /** Keepalives that everybody sends in one detection interval (A17). */
  readonly perInterval: number;
  /** Whether the master's part is the one whose sessions speak (docs/adr/0029): it knows who has left. */
  readonly isMost: boolean;
  /** Rises with every change of the list. */
  readonly roster: number;
  readonly memberCount: number;
  /** Index of the first entry of `members` in the whole list. */
  readonly offset: number;
  readonly members: readonly RosterEntry[];
}
/** A11. */
export interface MemberKeepalive {
  readonly type: "member-keepalive";
  readonly sequence: number;
  readonly master: NodeId;
  readonly config: ConfigVersion;
  /** The tables in force at the member. */
  readonly tables: TableVersion;
  /** How many master keepalives per detection interval this member needs (A17). */
  readonly perInterval: number;
  readonly mac: MacAddress;
}
/** Are you there? Answered at once with a keepalive. */
export interface Probe {
  readonly type: "probe";
}
/** The sender stops of its own accord. */
export interface Goodbye {
  readonly type: "goodbye";
}

export type Message =
  | JoinRequest
  | JoinAccepted
  | JoinRefused
  | JoinWait
  | Offer
  | OfferAccepted
  | OtherMasterExists
  | ExitRequest
  | MasterKeepalive
  | MemberKeepalive
  | Probe
  | Goodbye;

/** Discovery is signed with the node's own key; what is sent all the time carries a MAC of the group key. */
export type AuthKind = "signature" | "mac";

export const authKindOf = (type: Message["type"]): AuthKind => {
  switch (type) {
    case "offer-accepted":
    case "master-keepalive":
    case "member-keepalive":
    case "probe":
    case "goodbye":
      return "mac";
    case "join-request":
    case "join-accepted":
    case "join-refused":
    case "join-wait":
    case "offer":
    case "other-master-exists":
    case "exit-request":
      return "signature";
  }
};
