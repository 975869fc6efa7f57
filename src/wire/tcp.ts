// TCP header (RFC 9293 section 3.1): ports(2+2) | sequence(4) | acknowledgement(4) | data offset(4 bits) flags … |
//   window(2) checksum(2) urgent(2) | options. Only what steering reads, and the answer that ends a connection.
import { uint32 } from "./network-order.ts";

export const TCP_LENGTH = 20;
const FLAGS = 13;
const SYN = 0x02;
const ACK = 0x10;

/** The first segment of a connection: SYN without ACK. `segment` has at least TCP_LENGTH bytes. */
export const isOpening = (segment: Uint8Array): boolean =>
  ((segment[FLAGS] ?? 0) & (SYN | ACK)) === SYN;

const SEQUENCE = 4;
const ACKNOWLEDGEMENT = 8;
const OFFSET = 12;
const FIN = 0x01;
const RST = 0x04;

/**
 * What a machine answers to a segment of a connection that it does not have (RFC 9293 section 3.10.7.1), with the checksum still 0.
 * Undefined for a reset, which nothing answers. `segment` has at least TCP_LENGTH bytes.
 */
export function closingReset(segment: Uint8Array): Uint8Array | undefined {
  const flags = segment[FLAGS] ?? 0;
  if ((flags & RST) !== 0) return undefined;
  const reset = new Uint8Array(TCP_LENGTH);
  reset.set(segment.subarray(2, 4), 0);
  reset.set(segment.subarray(0, 2), 2);
  reset[OFFSET] = (TCP_LENGTH / 4) << 4;
  if ((flags & ACK) !== 0) {
    reset.set(segment.subarray(ACKNOWLEDGEMENT, ACKNOWLEDGEMENT + 4), SEQUENCE);
    reset[FLAGS] = RST;
    return reset;
  }
  const header = ((segment[OFFSET] ?? 0) >> 4) * 4;
  const controls = ((flags & SYN) === 0 ? 0 : 1) + ((flags & FIN) === 0 ? 0 : 1);
  const length = Math.max(0, segment.byteLength - header) + controls;
  new DataView(reset.buffer).setUint32(ACKNOWLEDGEMENT, uint32(segment, SEQUENCE) + length);
  reset[FLAGS] = RST | ACK;
  return reset;
}
