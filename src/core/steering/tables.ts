// The tables that everybody who touches a packet reads (B1, B2, B3): which node owns which share of
// which service. The master computes them, every member holds a copy, `bpf/` enforces them.
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { DeliveryMethod, HashKind } from "#base/delivery.ts";
import type { NodeId, TableVersion } from "#base/ids.ts";
import type { FlowKey } from "#wire/flow-key.ts";

/**
 * weighted: by source address and what tells a client's flows apart. sticky: by source address. wildcard-sticky: sticky over all
 * ports of a VIP (table 2). routed: traffic through the cluster, by source and destination address; routed-symmetric: equal in
 * both directions (A14, A22). A routed group has no services: what is sent to a cluster MAC and is for no VIP is its traffic. quic: the
 * node that the connection id names (connection-id.ts), if it is one of `named`, otherwise weighted.
 */
export const POLICIES = [
  "weighted",
  "sticky",
  "wildcard-sticky",
  "routed",
  "routed-symmetric",
  "quic",
] as const;
export type Policy = (typeof POLICIES)[number];

export const isRouted = (policy: Policy): boolean =>
  policy === "routed" || policy === "routed-symmetric";

export type Protocol = "tcp" | "udp" | "any";

/** Key of table 1 (protocol, VIP, port), of table 2 where the port is "any" (B2), of table 3 (VIP) where the protocol is, too. */
export interface ServiceKey {
  readonly protocol: Protocol;
  readonly vip: IpAddress;
  readonly port: number | "any";
}

/** reset: TCP RST, ICMP port unreachable. drop: nothing. */
export const ANSWERS = ["reset", "drop"] as const;
export type Answering = (typeof ANSWERS)[number];

/** A slot remembers the three owners before the present one, newest first (docs/adr/0004). */
export const FORMER_OWNERS = 3;

/**
 * Connections of a group that are pinned to a node which is not (or was not) their slot's owner (B4, docs/adr/0016). All three lists
 * are in the same order, ascending by flow.
 */
export interface Exceptions {
  readonly flows: readonly FlowKey[];
  readonly nodes: Uint16Array;
  /** To which each flow belongs by the group's policy. */
  readonly slots: Uint16Array;
}

export const NO_EXCEPTIONS: Exceptions = {
  flows: [],
  nodes: new Uint16Array(),
  slots: new Uint16Array(),
};

/** Of all groups together. What does not fit is not pinned, and its slot keeps its chain. */
export const MAX_EXCEPTIONS = 65_536;

/** One service group's distribution table (PDT). All arrays are indexed by slot; values are node ids, 0 = none. */
export interface GroupTable {
  readonly name: string;
  readonly policy: Policy;
  readonly services: readonly ServiceKey[];
  /** Present owner of each slot. The length is a power of two, 2 … 65 536. */
  readonly owners: Uint16Array;
  /** Earlier owners, FORMER_OWNERS per slot: former[slot * FORMER_OWNERS + k]. */
  readonly former: Uint16Array;
  /** Packets of slots without an owner are held until they have one, rather than passed (A15). */
  readonly holds: boolean;
  /** What held packets meet, because nobody serves the group and nobody is about to (B7). Absent: they wait. */
  readonly answer?: Answering;
  /** Owner of each slot when every configuration node serves; a returning node gets these back. */
  readonly home: Uint16Array;
  readonly exceptions: Exceptions;
  /**
   * A UDP session stays at its node for so long after its last packet, whatever becomes of its slot (B12). 0: UDP follows the table.
   */
  readonly udpIdleMs: number;
  /** Of policy quic: nodes to which the packets go that name them, because their connections are being served; ascending. Absent: none. */
  readonly named?: readonly NodeId[];
}

/** A node that packets may be sent to. */
export interface NodeRow {
  readonly id: NodeId;
  readonly mac: MacAddress;
}

/** How frames reach the members (A13). */
export interface Delivery {
  readonly method: DeliveryMethod;
  /** The VIP that the cluster MACs are derived from; undefined while there is no VIP. */
  readonly primary: IpAddress | undefined;
}

/** Who answers for which VIP (B10, docs/adr/0025); both lists in the order of the tables' `vips`. */
export interface VipHolders {
  /** The VIP's interface node; NO_NODE: nobody, it is on its way from one to another. */
  readonly holders: readonly NodeId[];
  /** Its interface node while every node lives. A node that returns gets these back. */
  readonly homes: readonly NodeId[];
}

export interface Tables {
  readonly version: TableVersion;
  readonly delivery: Delivery;
  readonly hash: HashKind;
  /** Keys of the keyed flow hash, 32 bits each, the same on every member. */
  readonly hashKey: readonly [number, number];
  readonly nodes: readonly NodeRow[];
  /** Every virtual address, with or without a service. */
  readonly vips: readonly IpAddress[];
  /** Absent: whoever is master answers for all of them. */
  readonly vipHolders?: VipHolders;
  readonly groups: readonly GroupTable[];
}
