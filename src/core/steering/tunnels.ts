// Stages decapsulate and encapsulate of the packet pipeline: frames to and from nodes beyond this segment (B11, docs/adr/0022). What
// comes out of a tunnel goes through the other stages as the frame that its sender would have sent on the segment. Follows bpf/tunnel.h.
import { startsWith } from "#base/bytes-map.ts";
import type { NodeId } from "#base/ids.ts";
import {
  encodeEthernet,
  ETHERNET_LENGTH,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  EthernetView,
} from "#wire/ethernet.ts";
import { hopMacOf } from "#wire/ethernet-hop.ts";
import { encapsulated, overheadOf, readOuter, type Tunnel } from "#wire/tunnel.ts";
import type { IndexedTables } from "./indexed-tables.ts";

/** Which nodes are beyond this segment, and how to reach them. */
export interface Tunnels {
  /** To which encapsulated packets come; four bytes. */
  readonly address: Uint8Array;
  to(node: NodeId): Tunnel | undefined;
  /** Whose encapsulated packets are taken. */
  from(address: Uint8Array): NodeId | undefined;
}

export interface TunnelContext {
  readonly tunnels: Tunnels;
  readonly mac: Uint8Array;
  readonly tables: Pick<IndexedTables, "isVip">;
}

const addressIn = (packet: Uint8Array, family: 4 | 6): Uint8Array =>
  family === 4 ? packet.subarray(16, 20) : packet.subarray(24, 40);

/** The frame that was sent; undefined: it is none that one of our nodes has encapsulated. What is for no VIP does not come out of a tunnel. */
export function decapsulate(
  frame: Uint8Array,
  { tunnels, mac, tables }: TunnelContext,
): Uint8Array | "drop-tunnel" | undefined {
  if (frame.byteLength < ETHERNET_LENGTH || !startsWith(frame, mac)) return undefined;
  if (new EthernetView(frame).etherType !== ETHERTYPE_IPV4) return undefined;
  const outer = readOuter(frame.subarray(ETHERNET_LENGTH));
  if (outer === undefined || !startsWith(outer.destination, tunnels.address)) return undefined;
  const sender = tunnels.from(outer.source);
  if (sender === undefined) return undefined;
  const { inner } = outer;
  if (inner === undefined || (inner.sender ?? sender) !== sender) return "drop-tunnel";
  const { family, way, packet } = inner;
  const address = addressIn(packet, family);
  const isWhole = address.byteLength === (family === 4 ? 4 : 16);
  if (!isWhole || (packet[0] ?? 0) >> 4 !== family || !tables.isVip(address)) return "drop-tunnel";
  const etherType = family === 4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6;
  const link = { destination: mac, source: hopMacOf(way, sender), etherType };
  return encodeEthernet(link, packet);
}

export type Encapsulated =
  | { readonly frame: Uint8Array }
  /** `longest`: what would have fitted. */
  | { readonly reason: "drop-too-big"; readonly longest: number }
  | { readonly reason: "drop-no-neighbour" };

/** @param way byte HH of the source MAC (ethernet-hop.ts) */
export function encapsulate(
  frame: Uint8Array,
  tunnel: Tunnel,
  way: number,
  sender: NodeId,
): Encapsulated {
  const { nextMac } = tunnel;
  const version = (frame[ETHERNET_LENGTH] ?? 0) >> 4;
  if (nextMac === undefined || (version !== 4 && version !== 6)) {
    return { reason: "drop-no-neighbour" };
  }
  const longest = tunnel.mtu - overheadOf(tunnel.kind);
  if (frame.byteLength - ETHERNET_LENGTH > longest) return { reason: "drop-too-big", longest };
  return { frame: encapsulated(frame, { ...tunnel, nextMac }, { way, sender }) };
}
