// TCP header (RFC 9293 section 3.1): ports(2+2) | sequence(4) | acknowledgement(4) | data offset(4 bits) flags … |
//   window(2) checksum(2) urgent(2) | options. Only what steering reads.

export const TCP_LENGTH = 20;
const FLAGS = 13;
const SYN = 0x02;
const ACK = 0x10;

/** The first segment of a connection: SYN without ACK. `segment` has at least TCP_LENGTH bytes. */
export const isOpening = (segment: Uint8Array): boolean =>
  ((segment[FLAGS] ?? 0) & (SYN | ACK)) === SYN;
