// IPv6 header (RFC 8200): version|class|flow label(4) payload length(2) next header(1) hop limit(1) |
//   source(16) | destination(16), and the extension headers before the transport header.
import type { DecodeFailure } from "./decoded.ts";
import { uint16, uint32 } from "./network-order.ts";

export const IPV6_LENGTH = 40;
export const PROTOCOL_ICMPV6 = 58;
const HOP_BY_HOP = 0;
const ROUTING = 43;
const FRAGMENT = 44;
const DESTINATION_OPTIONS = 60;
const FRAGMENT_LENGTH = 8;
/** Extension headers that are read before the Fragment header; a packet program needs a limit. */
const MAX_OPTION_HEADERS = 2;
const OPTION_HEADERS: readonly number[] = [HOP_BY_HOP, ROUTING, DESTINATION_OPTIONS];
const EXTENSION_HEADERS: readonly number[] = [...OPTION_HEADERS, FRAGMENT];

/** Header fields of the caller's bytes, in place. */
export class Ipv6View {
  readonly #bytes: Uint8Array;

  private constructor(bytes: Uint8Array) {
    this.#bytes = bytes;
  }

  /** The payload length may exceed `bytes` (an ICMP error quotes a part). */
  static over(bytes: Uint8Array): Ipv6View | DecodeFailure {
    if (bytes.byteLength < IPV6_LENGTH) return "incomplete";
    return (bytes[0] ?? 0) >> 4 === 6 ? new Ipv6View(bytes) : "malformed";
  }

  /** What follows these 40 bytes, in bytes. */
  get payloadLength(): number {
    return uint16(this.#bytes, 4);
  }

  get nextHeader(): number {
    return this.#bytes[6] ?? 0;
  }

  get source(): Uint8Array {
    return this.#bytes.subarray(8, 24);
  }

  get destination(): Uint8Array {
    return this.#bytes.subarray(24, 40);
  }
}

/** Where the transport header begins, and what the Fragment header says. */
export interface Ipv6Transport {
  readonly protocol: number;
  /** In bytes from the beginning of the IPv6 header. */
  readonly offset: number;
  /** In units of 8 bytes; 0 without a Fragment header. */
  readonly fragmentOffset: number;
  readonly moreFragments: boolean;
  readonly identification: number;
}

/**
 * Walks the extension headers: at most two of hop-by-hop, routing and destination options, then at most one Fragment
 * header. `bytes` ends where the packet (or its quotation) does. Behind a later fragment's header nothing is read.
 */
export function walkExtensionHeaders(bytes: Uint8Array): Ipv6Transport | DecodeFailure {
  let protocol = bytes[6] ?? 0;
  let offset = IPV6_LENGTH;
  for (let count = 0; count < MAX_OPTION_HEADERS && OPTION_HEADERS.includes(protocol); count++) {
    if (offset + 8 > bytes.byteLength) return "incomplete";
    protocol = bytes[offset] ?? 0;
    offset += ((bytes[offset + 1] ?? 0) + 1) * 8;
    if (offset > bytes.byteLength) return "incomplete";
  }
  const whole = { protocol, offset, fragmentOffset: 0, moreFragments: false, identification: 0 };
  if (protocol !== FRAGMENT) return OPTION_HEADERS.includes(protocol) ? "unsupported" : whole;
  if (offset + FRAGMENT_LENGTH > bytes.byteLength) return "incomplete";
  return readFragmentHeader(bytes, offset);
}

/** Next header(1) reserved(1) offset(13 bits)|reserved(2 bits)|more(1 bit) identification(4). */
function readFragmentHeader(bytes: Uint8Array, at: number): Ipv6Transport | DecodeFailure {
  const protocol = bytes[at] ?? 0;
  const fragmentOffset = uint16(bytes, at + 2) >>> 3;
  if (fragmentOffset === 0 && EXTENSION_HEADERS.includes(protocol)) return "unsupported";
  return {
    protocol,
    offset: at + FRAGMENT_LENGTH,
    fragmentOffset,
    moreFragments: (uint16(bytes, at + 2) & 1) !== 0,
    identification: uint32(bytes, at + 4),
  };
}
