// A TCP segment without data of ours, with its IP header: what a new owner asks a peer with, and what acknowledges bytes when no segment
// of the stack does (A16). Network order, as on the wire.
//
//   TCP:  ports (2 + 2)   sequence (4)   acknowledgement (4)   length, ACK (2)   window (2)   checksum (2)   0 (2)
//         and, where the connection has timestamps: NOP NOP 8 10 value (4) echo (4)   (RFC 7323 appendix A)
//         and, where the peer is to answer whatever it has answered before: an octet of garbage   (RFC 1122 section 4.2.3.6)
import { ipBytes } from "#base/address.ts";
import { PROTOCOL_TCP } from "../ipv4.ts";
import { ipPacket } from "../ip-packet.ts";
import { transportChecksum } from "../ipv4-checksum.ts";
import { putUint16 } from "../network-order.ts";
import { TCP_LENGTH } from "../tcp.ts";
import type { ConnectionKey } from "./record.ts";

export interface BareSegment {
  readonly key: ConnectionKey;
  readonly sequence: number;
  readonly acknowledgement: number;
  /** As in the header: scaled down. */
  readonly window: number;
  /** Undefined: the connection has no timestamps. */
  readonly timestamps: { readonly value: number; readonly echo: number } | undefined;
  /** One byte that the peer has had, as keepalives of old have it; whatever its value, it is not looked at. */
  readonly garbage: boolean;
}

const ACK = 0x10;
const TIMESTAMPS_LENGTH = 12;
const NOP_NOP_TIMESTAMPS = 0x0101_080a;
const CHECKSUM = 16;

/** The packet from the VIP to the peer. */
export function bareSegment(segment: BareSegment): Uint8Array {
  const { vip, peer } = segment.key;
  const addresses = { source: ipBytes(vip), destination: ipBytes(peer) };
  const transport = tcpBytes(segment);
  putUint16(transport, CHECKSUM, transportChecksum(addresses, PROTOCOL_TCP, transport));
  return ipPacket(addresses, PROTOCOL_TCP, transport);
}

function tcpBytes(segment: BareSegment): Uint8Array {
  const { key, sequence, acknowledgement, window, timestamps, garbage } = segment;
  const length = TCP_LENGTH + (timestamps === undefined ? 0 : TIMESTAMPS_LENGTH);
  const bytes = new Uint8Array(length + (garbage ? 1 : 0));
  const view = new DataView(bytes.buffer);
  view.setUint16(0, key.port);
  view.setUint16(2, key.peerPort);
  view.setUint32(4, sequence);
  view.setUint32(8, acknowledgement);
  view.setUint8(12, (length / 4) << 4);
  view.setUint8(13, ACK);
  view.setUint16(14, window);
  if (timestamps === undefined) return bytes;
  view.setUint32(TCP_LENGTH, NOP_NOP_TIMESTAMPS);
  view.setUint32(TCP_LENGTH + 4, timestamps.value);
  view.setUint32(TCP_LENGTH + 8, timestamps.echo);
  return bytes;
}
