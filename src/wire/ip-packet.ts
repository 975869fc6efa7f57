// Whole IP packets that are made here and that nothing follows: a header without options or extension headers, and a payload whose own
// checksum is complete. Network order.
//
//   IPv4: version, length 0x45   0   total length (2)   0 (2)   do not fragment (2)   TTL   protocol   checksum (2)   from (4)   to (4)
//   IPv6: 0x60 0 0 0   payload length (2)   protocol   hop limit   from (16)   to (16)
import { IPV4_LENGTH } from "./ipv4.ts";
import { internetChecksum } from "./ipv4-checksum.ts";
import { IPV6_LENGTH } from "./ipv6.ts";
import { putUint16 } from "./network-order.ts";

/** TTL and hop limit. */
const HOPS = 64;

/** Both of one family: 4 or 16 bytes. */
export interface IpEnds {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

export function ipPacket(ends: IpEnds, protocol: number, payload: Uint8Array): Uint8Array {
  const header = ends.source.byteLength === 4 ? ipv4Header : ipv6Header;
  const bytes = header(ends, protocol, payload.byteLength);
  bytes.set(payload, bytes.byteLength - payload.byteLength);
  return bytes;
}

/** With room for the payload. */
function ipv4Header({ source, destination }: IpEnds, protocol: number, length: number): Uint8Array {
  const bytes = new Uint8Array(IPV4_LENGTH + length);
  bytes[0] = 0x45;
  putUint16(bytes, 2, bytes.byteLength);
  bytes[6] = 0x40; // do not fragment
  bytes[8] = HOPS;
  bytes[9] = protocol;
  bytes.set(source, 12);
  bytes.set(destination, 16);
  putUint16(bytes, 10, internetChecksum(bytes.subarray(0, IPV4_LENGTH)));
  return bytes;
}

function ipv6Header({ source, destination }: IpEnds, protocol: number, length: number): Uint8Array {
  const bytes = new Uint8Array(IPV6_LENGTH + length);
  bytes[0] = 0x60;
  putUint16(bytes, 4, length);
  bytes[6] = protocol;
  bytes[7] = HOPS;
  bytes.set(source, 8);
  bytes.set(destination, 24);
  return bytes;
}
