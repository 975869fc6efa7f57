// How members that share one MAC address each other (part C): which dedicated MACs they have, and the choices that an
// operator has. The kinds of dedicated MAC (docs/adr/0013):
//
//   masked      02:1h:ll:b.c.d    the node's id (hll) and the tail of the cluster MAC; one for a node. Unicast: switches learn it
//   multicast   03:bf:a.b.c.d     the address itself (C3); of IPv6 the exclusive or of its four words. Switches flood it
//   table       as configured     one for a node, in nodes[].mac (C12)
//   shared      03:1f:ff:b.c.d    one for all members, who tell by the IP address whom a frame is for (C11), or as configured
import { ipBytes, macBytes, macFromBytes, type IpAddress, type MacAddress } from "./address.ts";
import type { NodeId } from "./ids.ts";

export const PEER_MAC_KINDS = ["masked", "multicast", "table", "shared"] as const;
export type PeerMacKind = (typeof PEER_MAC_KINDS)[number];

/** Who puts the dedicated MAC into a discovery reply: who answers, or who has asked (C7). */
export const PEER_REWRITES = ["responder", "initiator"] as const;
export type PeerRewrite = (typeof PEER_REWRITES)[number];

/** By what a receiver knows a peer's frame (C9): its own dedicated MAC, or also a source address of the host list. */
export const PEER_RECOGNITIONS = ["mac", "source"] as const;
export type PeerRecognition = (typeof PEER_RECOGNITIONS)[number];

export interface PeerChoices {
  readonly rewrite: PeerRewrite;
  readonly recognise: PeerRecognition;
  /** A stack that is asked remembers who asked; else the program answers for it, and the stack asks itself (C10). */
  readonly learnFromRequests: boolean;
  /** Requests for live members are answered on the spot, without a frame on the wire (C13). */
  readonly localResponder: boolean;
  /** Frames of a peer that never asked for this node are dropped (C15). */
  readonly sourceCheck: boolean;
}

const lastFour = (address: IpAddress): Uint8Array => ipBytes(address).slice(-4);

/**
 * The address that other members know a node by, whatever the kind: frames that steering hands over go there. Never the source of
 * what outsiders get; ids end at 4095, so it is neither a masked source (02:0h) nor a cluster MAC (02:bf).
 */
export const peerMac = (node: NodeId, primary: IpAddress): MacAddress =>
  macFromBytes(
    Uint8Array.of(0x02, 0x10 | (node >>> 8), node & 0xff, ...lastFour(primary).subarray(1)),
  );

/** C3, C14: within one IPv6 network of 96 bits no two addresses have the same; others may, and are refused then. */
export function derivedMac(address: IpAddress): MacAddress {
  const tail = new Uint8Array(4);
  for (const [index, byte] of ipBytes(address).entries()) {
    tail[index % 4] = (tail[index % 4] ?? 0) ^ byte;
  }
  return macFromBytes(Uint8Array.of(0x03, 0xbf, ...tail));
}

/** C11: unless the operator has chosen another one. */
export const sharedPeerMac = (primary: IpAddress): MacAddress =>
  macFromBytes(Uint8Array.of(0x03, 0x1f, 0xff, ...lastFour(primary).subarray(1)));

/** What decides about a cluster's dedicated MACs. */
export interface PeerMacs {
  readonly kind: PeerMacKind;
  /** The VIP that the cluster MAC is derived from. */
  readonly primary: IpAddress;
  /** C11: an operator's own choice. */
  readonly sharedMac?: MacAddress;
}

/** Switches flood it, and hosts that take all group frames get it. */
export const isGroupMac = (mac: MacAddress): boolean => ((macBytes(mac)[0] ?? 0) & 1) === 1;

/** Whether frames to peers go to MACs of groups. @param listed MACs of nodes, for the kind "table" */
export function areGroupMacs(
  { kind, primary, sharedMac }: PeerMacs,
  listed: readonly MacAddress[],
): boolean {
  return {
    masked: false,
    multicast: true,
    table: listed.some(isGroupMac),
    shared: isGroupMac(sharedMac ?? sharedPeerMac(primary)),
  }[kind];
}

/**
 * Who rewrites where the operator has not chosen (C7): as published the responder, unless a reply that tells a dedicated MAC could be
 * flooded to outsiders (C8). @param listed MACs of nodes, for the kind "table"
 */
export function defaultRewrite(macs: PeerMacs, listed: readonly MacAddress[]): PeerRewrite {
  return areGroupMacs(macs, listed) ? "initiator" : "responder";
}

/** The MAC that peers reach an address of a node at. @param node whose `mac` is the table's entry */
export function dedicatedMac(
  { kind, primary, sharedMac }: PeerMacs,
  node: { readonly id: NodeId; readonly mac?: MacAddress },
  address: IpAddress,
): MacAddress {
  switch (kind) {
    case "masked":
      return peerMac(node.id, primary);
    case "multicast":
      return derivedMac(address);
    case "table":
      return node.mac ?? peerMac(node.id, primary);
    case "shared":
      return sharedMac ?? sharedPeerMac(primary);
  }
}
