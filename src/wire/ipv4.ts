// IPv4 header (RFC 791): version|IHL(1) TOS(1) total length(2) | identification(2) flags|fragment offset(2) |
//   TTL(1) protocol(1) header checksum(2) | source(4) | destination(4) | options
import type { DecodeFailure } from "./decoded.ts";
import { uint16 } from "./network-order.ts";

export const IPV4_LENGTH = 20;
export const PROTOCOL_ICMP = 1;
export const PROTOCOL_TCP = 6;
export const PROTOCOL_UDP = 17;
const MORE_FRAGMENTS = 0x2000;
const OFFSET_MASK = 0x1fff;

/** Header fields of the caller's bytes, in place. */
export class Ipv4View {
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The header must be there as a whole; the total length may exceed `bytes` (an ICMP error quotes a part). */
  static over(bytes: Uint8Array): Ipv4View | DecodeFailure {
    if (bytes.byteLength < IPV4_LENGTH) return "incomplete";
    const view = new Ipv4View(bytes);
    if ((bytes[0] ?? 0) >> 4 !== 4 || view.headerLength < IPV4_LENGTH) return "malformed";
    return bytes.byteLength < view.headerLength ? "incomplete" : view;
  }

  /** With options, in bytes. */
  get headerLength(): number {
    return ((this.#bytes[0] ?? 0) & 0x0f) * 4;
  }

  /** Header and payload, in bytes. */
  get totalLength(): number {
    return uint16(this.#bytes, 2);
  }

  get identification(): number {
    return uint16(this.#bytes, 4);
  }

  get moreFragments(): boolean {
    return (uint16(this.#bytes, 6) & MORE_FRAGMENTS) !== 0;
  }

  /** In units of 8 bytes. */
  get fragmentOffset(): number {
    return uint16(this.#bytes, 6) & OFFSET_MASK;
  }

  get protocol(): number {
    return this.#bytes[9] ?? 0;
  }

  get source(): Uint8Array {
    return this.#bytes.subarray(12, 16);
  }

  get destination(): Uint8Array {
    return this.#bytes.subarray(16, 20);
  }
}
