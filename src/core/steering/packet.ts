// A frame as the packet program reads it: the limits of what is read, and where the flow is found. The rules are
// spelled out in docs/walks/a-packet-arrives.md, because bpf/ must read the same bytes in the same way.
import type { Family } from "#base/address.ts";
import { equalBytes } from "#base/bytes-map.ts";
import { ARP_LENGTH, decodeArp } from "#wire/arp.ts";
import type { DecodeFailure } from "#wire/decoded.ts";
import {
  ETHERNET_LENGTH,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  EthernetView,
} from "#wire/ethernet.ts";
import { ICMP_LENGTH, isIcmpError, isOfLink } from "#wire/icmp.ts";
import { Ipv4View, PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import { IPV6_LENGTH, Ipv6View, PROTOCOL_ICMPV6, walkExtensionHeaders } from "#wire/ipv6.ts";
import { decodeSolicitation } from "#wire/ndp.ts";
import { isOpening, TCP_LENGTH } from "#wire/tcp.ts";
import { destinationPort, PORTS_LENGTH, sourcePort, UDP_LENGTH } from "#wire/udp.ts";
import { discriminatorOf, quotedDiscriminator } from "./discriminator.ts";

/** A flow as its server sees it: the source is the client, the destination the VIP. Addresses in network order. */
export interface Flow {
  /** Number of the IP protocol. */
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  /** Of TCP and UDP; otherwise both are 0. */
  readonly sourcePort: number;
  readonly destinationPort: number;
  /** What tells the client's flows apart (discriminator.ts). */
  readonly discriminator: number;
  /** The packet opens a TCP connection: SYN without ACK. */
  readonly opening: boolean;
}

/** An IP packet, or the part of it that an ICMP error quotes. */
export interface IpPacket {
  readonly type: "ip";
  readonly family: Family;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** From the transport header to the end of the packet. Of a later fragment: bytes of unknown meaning. */
  readonly transport: Uint8Array;
  readonly fragment: "none" | "first" | "later";
  /** Of an IPv6 packet without a Fragment header: 0. */
  readonly identification: number;
}

export interface ArpPacket {
  readonly type: "arp";
  /** The address that somebody asks for; undefined when it is not a request. */
  readonly asked: Uint8Array | undefined;
}

export type Packet = IpPacket | ArpPacket;
export type Unreadable = "pass-not-ip" | "pass-malformed";

const fragmentOf = (header: {
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
}): IpPacket["fragment"] => {
  if (header.fragmentOffset !== 0) return "later";
  return header.moreFragments ? "first" : "none";
};

/** How far a packet reaches into its bytes: as its length field says, or, when it is quoted, to the end of the quotation. */
type Extent = "stated" | "quoted";

function readIpv4(bytes: Uint8Array, extent: Extent): IpPacket | DecodeFailure {
  const header = Ipv4View.over(bytes);
  if (typeof header === "string") return header;
  const { source, destination, protocol, identification, headerLength } = header;
  const length = extent === "quoted" ? bytes.byteLength : header.totalLength;
  if (length < headerLength) return "malformed";
  if (length > bytes.byteLength) return "incomplete";
  const transport = bytes.subarray(headerLength, length);
  const fragment = fragmentOf(header);
  const addresses = { type: "ip", family: 4, source, destination } as const;
  return { ...addresses, protocol, transport, fragment, identification };
}

function readIpv6(bytes: Uint8Array, extent: Extent): IpPacket | DecodeFailure {
  const header = Ipv6View.over(bytes);
  if (typeof header === "string") return header;
  const { source, destination } = header;
  const length = extent === "quoted" ? bytes.byteLength : IPV6_LENGTH + header.payloadLength;
  if (length > bytes.byteLength) return "incomplete";
  const inner = walkExtensionHeaders(bytes.subarray(0, length));
  if (typeof inner === "string") return inner;
  const { protocol, identification } = inner;
  const transport = bytes.subarray(inner.offset, length);
  const fragment = fragmentOf(inner);
  const addresses = { type: "ip", family: 6, source, destination } as const;
  return { ...addresses, protocol, transport, fragment, identification };
}

/** Number of the protocol that belongs to it. */
export const icmpOf = (family: Family): number => (family === 4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6);

function transportLength({ family, protocol, fragment }: IpPacket): number {
  if (fragment === "later") return 0;
  if (protocol === PROTOCOL_TCP) return TCP_LENGTH;
  if (protocol === PROTOCOL_UDP) return UDP_LENGTH;
  return protocol === icmpOf(family) ? ICMP_LENGTH : 0;
}

function readIp(packet: IpPacket | DecodeFailure): IpPacket | Unreadable {
  if (typeof packet === "string") return "pass-malformed";
  return packet.transport.byteLength < transportLength(packet) ? "pass-malformed" : packet;
}

function readArp(bytes: Uint8Array): ArpPacket | Unreadable {
  const decoded = decodeArp(bytes.subarray(0, ARP_LENGTH));
  if (decoded.ok) {
    const { operation, targetIp } = decoded.value;
    return { type: "arp", asked: operation === "request" ? targetIp : undefined };
  }
  return decoded.reason === "unsupported" ? { type: "arp", asked: undefined } : "pass-malformed";
}

/** The frame's packet, or why there is none to steer. */
export function readPacket(frame: Uint8Array): Packet | Unreadable {
  if (frame.byteLength < ETHERNET_LENGTH) return "pass-malformed";
  const payload = frame.subarray(ETHERNET_LENGTH);
  switch (new EthernetView(frame).etherType) {
    case ETHERTYPE_ARP:
      return readArp(payload);
    case ETHERTYPE_IPV4:
      return readIp(readIpv4(payload, "stated"));
    case ETHERTYPE_IPV6:
      return readIp(readIpv6(payload, "stated"));
    default:
      return "pass-not-ip";
  }
}

/** The address that an ARP request or a Neighbor Solicitation asks for. */
export function askedAddress(packet: Packet): Uint8Array | undefined {
  if (packet.type === "arp") return packet.asked;
  if (packet.family !== 6 || packet.protocol !== PROTOCOL_ICMPV6 || packet.fragment === "later") {
    return undefined;
  }
  const decoded = decodeSolicitation(packet.transport);
  return decoded.ok ? decoded.value.target : undefined;
}

const hasPorts = (protocol: number): boolean =>
  protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;

/** The flow of a packet that was quoted by an ICMP error, turned round: what the server sent, the client caused. */
function quotedFlow(outer: IpPacket): Flow | undefined {
  const bytes = outer.transport.subarray(ICMP_LENGTH);
  const quoted = outer.family === 4 ? readIpv4(bytes, "quoted") : readIpv6(bytes, "quoted");
  if (typeof quoted === "string") return undefined;
  const { source, destination, protocol, transport, fragment } = quoted;
  if (fragment === "later" || !equalBytes(source, outer.destination)) return undefined;
  const discriminator = quotedDiscriminator(protocol, transport);
  const turned = { source: destination, destination: source };
  const flow = { protocol, ...turned, discriminator, opening: false };
  if (!hasPorts(protocol)) return { ...flow, sourcePort: 0, destinationPort: 0 };
  if (transport.byteLength < PORTS_LENGTH) return undefined;
  return {
    ...flow,
    sourcePort: destinationPort(transport),
    destinationPort: sourcePort(transport),
  };
}

/** The flow that a packet belongs to; undefined when it belongs to none that can be steered. */
export function flowOf(packet: IpPacket): Flow | undefined {
  const { family, source, destination, protocol, transport } = packet;
  if (protocol === icmpOf(family)) {
    const type = transport[0] ?? 0;
    if (isIcmpError(family, type)) return quotedFlow(packet);
    if (isOfLink(family, type)) return undefined;
  }
  const ports = hasPorts(protocol);
  return {
    protocol,
    source,
    destination,
    sourcePort: ports ? sourcePort(transport) : 0,
    destinationPort: ports ? destinationPort(transport) : 0,
    discriminator: discriminatorOf(protocol, transport),
    opening: protocol === PROTOCOL_TCP && isOpening(transport),
  };
}

/** The flow of a packet that only its addresses count of. */
export const addressesOf = ({ protocol, source, destination }: IpPacket): Flow => ({
  protocol,
  source,
  destination,
  sourcePort: 0,
  destinationPort: 0,
  discriminator: 0,
  opening: false,
});

/** Whether a packet is for a group of hosts; then every member may have it, and none forwards it. */
export const isMulticast = ({ family, destination: [first = 0] }: IpPacket): boolean =>
  family === 4 ? first >> 4 === 0xe : first === 0xff;

/**
 * Under which the outcome for a datagram's first fragment is kept for the later ones. What came to a cluster MAC is kept
 * apart: a node can drop its own copy of a fragment and be sent another by the owner.
 */
export const fragmentKey = (packet: IpPacket, flooded: boolean): string =>
  [
    flooded,
    packet.source.join("."),
    packet.destination.join("."),
    packet.identification,
    packet.protocol,
  ].join("/");
