// Frames of one node to another that is not on its segment, inside an IPv4 packet between the nodes' addresses (docs/adr/0022):
//
//   IP in IP (RFC 2003; RFC 4213 for IPv6):   outer IPv4, protocol 4 or 41; identification 50 WW   inner packet
//   Geneve (RFC 8926):                        outer IPv4, protocol 17; identification 0
//     UDP: source port c000 … ffff   destination port 6081   length   checksum 0
//     Geneve: version 0 and 2 words of options (1)   critical option (1)   EtherType (2)   network 0 (3)   0 (1)
//     option: class fff0 (2)   critical type 81 (1)   1 word (1)   WW (1)   0 (1)   sender's node id (2)
//     inner packet
//
// WW is the byte HH of a forwarded frame's source MAC (ethernet-hop.ts). The outer packet is never fragmented, so that its
// identification means nothing to anybody else (RFC 6864). It has the inner packet's DSCP and no ECN (RFC 6040, compatibility mode).
import { startsWith } from "#base/bytes-map.ts";
import type { NodeId } from "#base/ids.ts";
import { ETHERNET_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6, encodeEthernet } from "./ethernet.ts";
import { MAX_HOP } from "./ethernet-hop.ts";
import { IPV4_LENGTH, PROTOCOL_UDP } from "./ipv4.ts";
import { internetChecksum } from "./ipv4-checksum.ts";
import { putUint16, uint16 } from "./network-order.ts";

export const TUNNEL_KINDS = ["ipip", "geneve"] as const;
export type TunnelKind = (typeof TUNNEL_KINDS)[number];

export const PROTOCOL_IPIP = 4;
export const PROTOCOL_IPV6_IN_IP = 41;
export const GENEVE_PORT = 6081;
/** Behind the outer IPv4 header. */
const GENEVE_HEADERS = 24;
const LOWEST_FLOW_PORT = 0xc000;
const WAY_MARK = 0x50;
const OUTER_TTL = 64;
/** Of the Geneve header up to the way, for a packet of either family: EtherType and what follows stand apart. */
const GENEVE_START = Uint8Array.of(0x02, 0x40);
const GENEVE_OPTION = Uint8Array.of(0, 0, 0, 0, 0xff, 0xf0, 0x81, 1);

/** Bytes before the inner packet. */
export const overheadOf = (kind: TunnelKind): number =>
  kind === "ipip" ? IPV4_LENGTH : IPV4_LENGTH + GENEVE_HEADERS;

/** How a frame goes to a node that is not on this segment. */
export interface Tunnel {
  readonly kind: TunnelKind;
  /** Four bytes each: the two nodes' addresses. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Of the next machine on the way; undefined: not known. */
  readonly nextMac: Uint8Array | undefined;
  /** Of this node's interface on the way. */
  readonly ownMac: Uint8Array;
  /** Longest outer packet that arrives. */
  readonly mtu: number;
}

export interface Sending {
  /** Byte HH. */
  readonly way: number;
  readonly sender: NodeId;
  /** By which networks tell flows apart, 14 bits. */
  readonly flow?: number;
}

/** The inner packet's DSCP, where those of type of service and traffic class stand. */
function dscpOf(packet: Uint8Array): number {
  const [first = 0, second = 0] = packet;
  const service = first >> 4 === 4 ? second : (first << 4) | (second >> 4);
  return service & 0xfc;
}

/** @param frame Ethernet header and IP packet; padding goes along */
export function encapsulated(
  frame: Uint8Array,
  tunnel: Tunnel & { readonly nextMac: Uint8Array },
  { way, sender, flow = 0 }: Sending,
): Uint8Array {
  const inner = frame.subarray(ETHERNET_LENGTH);
  const isIpv4 = (inner[0] ?? 0) >> 4 === 4;
  const isGeneve = tunnel.kind === "geneve";
  const overhead = overheadOf(tunnel.kind);
  const packet = new Uint8Array(overhead + inner.byteLength);
  packet.set([0x45, dscpOf(inner)]);
  putUint16(packet, 2, packet.byteLength);
  if (!isGeneve) packet.set([WAY_MARK, way], 4);
  packet[6] = 0x40; // do not fragment
  packet[8] = OUTER_TTL;
  packet[9] = isGeneve ? PROTOCOL_UDP : isIpv4 ? PROTOCOL_IPIP : PROTOCOL_IPV6_IN_IP;
  packet.set(tunnel.source, 12);
  packet.set(tunnel.destination, 16);
  putUint16(packet, 10, internetChecksum(packet.subarray(0, IPV4_LENGTH)));
  if (isGeneve) putGeneve(packet, isIpv4 ? ETHERTYPE_IPV4 : ETHERTYPE_IPV6, { way, sender, flow });
  packet.set(inner, overhead);
  const link = { destination: tunnel.nextMac, source: tunnel.ownMac, etherType: ETHERTYPE_IPV4 };
  return encodeEthernet(link, packet);
}

function putGeneve(
  packet: Uint8Array,
  etherType: number,
  { way, sender, flow }: Required<Sending>,
): void {
  const udp = packet.subarray(IPV4_LENGTH);
  putUint16(udp, 0, LOWEST_FLOW_PORT | (flow & 0x3fff));
  putUint16(udp, 2, GENEVE_PORT);
  putUint16(udp, 4, udp.byteLength);
  udp.set(GENEVE_START, 8);
  putUint16(udp, 10, etherType);
  udp.set(GENEVE_OPTION, 12);
  udp[20] = way;
  putUint16(udp, 22, sender);
}

/** A packet of a kind that carries others, between two addresses. */
export interface OuterPacket {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Undefined: it does not say how far the inner packet has come, or not in a way that is known here. */
  readonly inner: InnerPacket | undefined;
}

export interface InnerPacket {
  readonly family: 4 | 6;
  readonly way: number;
  /** In IP in IP only the outer source says who sent it. */
  readonly sender: NodeId | undefined;
  readonly packet: Uint8Array;
}

/** Undefined: it is no whole packet of such a kind. `packet`: as it came, with padding. */
export function readOuter(packet: Uint8Array): OuterPacket | undefined {
  const isWhole = (uint16(packet, 6) & 0x3fff) === 0;
  if (packet.byteLength < IPV4_LENGTH || packet[0] !== 0x45 || !isWhole) return undefined;
  const ends = { source: packet.subarray(12, 16), destination: packet.subarray(16, 20) };
  switch (packet[9] ?? 0) {
    case PROTOCOL_IPIP:
      return { ...ends, inner: readIpip(packet, 4) };
    case PROTOCOL_IPV6_IN_IP:
      return { ...ends, inner: readIpip(packet, 6) };
    case PROTOCOL_UDP: {
      const udp = packet.subarray(IPV4_LENGTH);
      if (udp.byteLength < GENEVE_HEADERS || uint16(udp, 2) !== GENEVE_PORT) return undefined;
      return { ...ends, inner: readGeneve(udp) };
    }
    default:
      return undefined;
  }
}

function readIpip(packet: Uint8Array, family: 4 | 6): InnerPacket | undefined {
  const way = packet[5] ?? 0;
  if (packet[4] !== WAY_MARK || (way & MAX_HOP) === 0) return undefined;
  return { family, way, sender: undefined, packet: packet.subarray(IPV4_LENGTH) };
}

function readGeneve(udp: Uint8Array): InnerPacket | undefined {
  const etherType = uint16(udp, 10);
  const way = udp[20] ?? 0;
  const isKnown =
    udp[8] === GENEVE_START[0] &&
    startsWith(udp.subarray(12), GENEVE_OPTION) &&
    (etherType === ETHERTYPE_IPV4 || etherType === ETHERTYPE_IPV6) &&
    (way & MAX_HOP) !== 0;
  if (!isKnown) return undefined;
  const family = etherType === ETHERTYPE_IPV4 ? 4 : 6;
  const sender = uint16(udp, 22) as NodeId;
  return { family, way, sender, packet: udp.subarray(GENEVE_HEADERS) };
}
