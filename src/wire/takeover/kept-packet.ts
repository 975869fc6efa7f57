// An IP packet of a peer as the session program kept it, made whole: its TCP checksum may have been left to a network card that it never
// came to.
import { PROTOCOL_TCP } from "../ipv4.ts";
import { transportChecksum } from "../ipv4-checksum.ts";
import { IPV6_LENGTH } from "../ipv6.ts";
import { putUint16 } from "../network-order.ts";
import { TCP_LENGTH } from "../tcp.ts";

const CHECKSUM = 16;

/** Changes the packet in place. False: not a TCP segment over IPv4, or over IPv6 without extension headers. */
export function completeChecksum(packet: Uint8Array): boolean {
  const is4 = (packet[0] ?? 0) >> 4 === 4;
  const header = is4 ? ((packet[0] ?? 0) & 15) * 4 : IPV6_LENGTH;
  const protocol = is4 ? packet[9] : packet[6];
  const segment = packet.subarray(header);
  if (protocol !== PROTOCOL_TCP || segment.byteLength < TCP_LENGTH) return false;
  const [from, length] = is4 ? [12, 4] : [8, 16];
  const addresses = {
    source: packet.subarray(from, from + length),
    destination: packet.subarray(from + length, from + 2 * length),
  };
  putUint16(segment, CHECKSUM, 0);
  putUint16(segment, CHECKSUM, transportChecksum(addresses, PROTOCOL_TCP, segment));
  return true;
}
