// Frames between virtual interfaces of one machine travel with half a checksum: the sender leaves it to the hardware, and there
// is none. The kernel remembers that beside the frame; a copy of the frame that is sent anew must have the whole one, or its
// receiver drops it. Half a checksum is the sum over the pseudo-header alone, not complemented.
import { ETHERNET_LENGTH, ETHERTYPE_IPV4, ETHERTYPE_IPV6, EthernetView } from "./ethernet.ts";
import { internetChecksum, transportChecksum } from "./ipv4-checksum.ts";
import { Ipv4View, PROTOCOL_TCP, PROTOCOL_UDP } from "./ipv4.ts";
import { IPV6_LENGTH, Ipv6View, walkExtensionHeaders } from "./ipv6.ts";
import { uint16 } from "./network-order.ts";

interface Segment {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly protocol: number;
  /** The caller's bytes, from the transport header to the end of the packet. */
  readonly bytes: Uint8Array;
}

const FIELD_AT: ReadonlyMap<number, number> = new Map([
  [PROTOCOL_TCP, 16],
  [PROTOCOL_UDP, 6],
]);

function segment4(packet: Uint8Array): Segment | undefined {
  const header = Ipv4View.over(packet);
  if (typeof header === "string" || header.fragmentOffset !== 0 || header.moreFragments) {
    return undefined;
  }
  const { source, destination, protocol, headerLength, totalLength } = header;
  return { source, destination, protocol, bytes: packet.subarray(headerLength, totalLength) };
}

function segment6(packet: Uint8Array): Segment | undefined {
  const header = Ipv6View.over(packet);
  if (typeof header === "string") return undefined;
  const whole = packet.subarray(0, IPV6_LENGTH + header.payloadLength);
  const inner = walkExtensionHeaders(whole);
  if (typeof inner === "string" || inner.fragmentOffset !== 0 || inner.moreFragments) {
    return undefined;
  }
  const { source, destination } = header;
  return { source, destination, protocol: inner.protocol, bytes: whole.subarray(inner.offset) };
}

function segmentOf(frame: Uint8Array): Segment | undefined {
  if (frame.byteLength < ETHERNET_LENGTH) return undefined;
  const packet = frame.subarray(ETHERNET_LENGTH);
  switch (new EthernetView(frame).etherType) {
    case ETHERTYPE_IPV4:
      return segment4(packet);
    case ETHERTYPE_IPV6:
      return segment6(packet);
    default:
      return undefined;
  }
}

const pseudoSum = ({ source, destination, protocol, bytes }: Segment): number => {
  const length = bytes.byteLength;
  const tail = Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length, 0, 0, 0, protocol);
  return ~internetChecksum(source, destination, tail) & 0xffff;
};

/** Completes half a checksum of TCP or UDP, in place. A whole one, right or wrong, stays; so do fragments. */
export function completeChecksum(frame: Uint8Array): void {
  const segment = segmentOf(frame);
  const at = FIELD_AT.get(segment?.protocol ?? 0);
  if (segment === undefined || at === undefined || segment.bytes.byteLength < at + 2) return;
  const { bytes, protocol } = segment;
  if (uint16(bytes, at) !== pseudoSum(segment)) return;
  bytes.fill(0, at, at + 2);
  const sum = transportChecksum(segment, protocol, bytes) || 0xffff;
  bytes[at] = sum >>> 8;
  bytes[at + 1] = sum & 0xff;
}
