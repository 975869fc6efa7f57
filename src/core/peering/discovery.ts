// The fields of discovery messages that carry link-layer addresses, read and written in place: ARP (RFC 826) and Neighbor
// Solicitations and Advertisements (RFC 4861), and Redirects. What is not exactly of that shape is no discovery, and nobody touches it.
import {
  ETHERNET_LENGTH,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV4,
  ETHERTYPE_IPV6,
  EthernetView,
} from "#wire/ethernet.ts";
import { PROTOCOL_ICMPV6 } from "#wire/ipv6.ts";
import { putUint16, uint16 } from "#wire/network-order.ts";

const ARP_END = ETHERNET_LENGTH + 28;
const ARP_PREAMBLE = [0, 1, 8, 0, 6, 4] as const; // Ethernet, IPv4, their address lengths
const ARP_OPERATION = ETHERNET_LENGTH + 6;
const ARP_SENDER_MAC = ETHERNET_LENGTH + 8;
const ARP_SENDER = ETHERNET_LENGTH + 14;
const ARP_TARGET_MAC = ETHERNET_LENGTH + 18;
const ARP_TARGET = ETHERNET_LENGTH + 24;
const ICMPV6 = ETHERNET_LENGTH + 40;
const ND_END = ICMPV6 + 32;
const ND_OPTION = ICMPV6 + 24;
const SOURCE_LINK_LAYER = 1;
const TARGET_LINK_LAYER = 2;
const SOLICITATION = 135;
const ADVERTISEMENT = 136;
const REDIRECT = 137;
/** Behind the next hop's address and the destination's. */
const REDIRECT_OPTION = ICMPV6 + 40;
const OPTION_LENGTH = 8;

export type Question = "request" | "reply";

const at = (frame: Uint8Array, offset: number, length: number): Uint8Array =>
  frame.subarray(offset, offset + length);

/** An ARP packet, in place. */
export class ArpMessage {
  readonly type = "arp";
  readonly question: Question;
  readonly frame: Uint8Array;

  private constructor(frame: Uint8Array, question: Question) {
    this.frame = frame;
    this.question = question;
  }

  static over(frame: Uint8Array): ArpMessage | undefined {
    if (frame.byteLength < ARP_END) return undefined;
    if (!ARP_PREAMBLE.every((byte, index) => frame[ETHERNET_LENGTH + index] === byte)) {
      return undefined;
    }
    const operation = uint16(frame, ARP_OPERATION);
    if (operation !== 1 && operation !== 2) return undefined;
    return new ArpMessage(frame, operation === 1 ? "request" : "reply");
  }

  /** Whose link-layer address it tells. */
  get told(): Uint8Array {
    return at(this.frame, ARP_SENDER, 4);
  }

  get sender(): Uint8Array {
    return this.told;
  }

  /** Who is asked for, or who had asked. */
  get target(): Uint8Array {
    return at(this.frame, ARP_TARGET, 4);
  }

  /** The link-layer address that it tells. */
  get mac(): Uint8Array {
    return at(this.frame, ARP_SENDER_MAC, 6);
  }

  tell(mac: Uint8Array): void {
    this.frame.set(mac, ARP_SENDER_MAC);
  }

  get targetMac(): Uint8Array {
    return at(this.frame, ARP_TARGET_MAC, 6);
  }

  tellTarget(mac: Uint8Array): void {
    this.frame.set(mac, ARP_TARGET_MAC);
  }
}

/** A Neighbor Solicitation or Advertisement whose first option is its link-layer address, in place. */
export class NeighborMessage {
  readonly type = "nd";
  readonly question: Question;
  readonly frame: Uint8Array;

  private constructor(frame: Uint8Array, question: Question) {
    this.frame = frame;
    this.question = question;
  }

  static over(frame: Uint8Array): NeighborMessage | undefined {
    if (frame.byteLength < ND_END || frame[ETHERNET_LENGTH + 6] !== PROTOCOL_ICMPV6) {
      return undefined;
    }
    if (uint16(frame, ETHERNET_LENGTH + 4) < ND_END - ICMPV6) return undefined;
    const type = frame[ICMPV6];
    if (type !== SOLICITATION && type !== ADVERTISEMENT) return undefined;
    const option = type === SOLICITATION ? SOURCE_LINK_LAYER : TARGET_LINK_LAYER;
    if (frame[ND_OPTION] !== option || frame[ND_OPTION + 1] !== 1) return undefined;
    return new NeighborMessage(frame, type === SOLICITATION ? "request" : "reply");
  }

  /** Whose link-layer address it tells: who asks, or who was asked for. */
  get told(): Uint8Array {
    return this.question === "request" ? this.sender : this.target;
  }

  get sender(): Uint8Array {
    return at(this.frame, ETHERNET_LENGTH + 8, 16);
  }

  get target(): Uint8Array {
    return at(this.frame, ICMPV6 + 8, 16);
  }

  get mac(): Uint8Array {
    return at(this.frame, ND_OPTION + 2, 6);
  }

  tell(mac: Uint8Array): void {
    retell(this.frame, ND_OPTION, mac);
  }
}

/** Another link-layer address in an option. The checksum follows (RFC 1624); as in the kernel, it never becomes ffff. */
function retell(frame: Uint8Array, option: number, mac: Uint8Array): void {
  let sum = 0xffff + (~uint16(frame, ICMPV6 + 2) & 0xffff);
  for (let word = 0; word < 6; word += 2) {
    sum += (~uint16(frame, option + 2 + word) & 0xffff) + uint16(mac, word);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  putUint16(frame, ICMPV6 + 2, ~sum & 0xffff);
  frame.set(mac, option + 2);
}

/** An ICMPv6 redirect that tells where the next hop is, in place. */
export class Redirect {
  readonly #frame: Uint8Array;

  private constructor(frame: Uint8Array) {
    this.#frame = frame;
  }

  static in(frame: Uint8Array): Redirect | undefined {
    if (frame.byteLength < REDIRECT_OPTION + OPTION_LENGTH) return undefined;
    if (new EthernetView(frame).etherType !== ETHERTYPE_IPV6) return undefined;
    if (frame[ETHERNET_LENGTH + 6] !== PROTOCOL_ICMPV6 || frame[ICMPV6] !== REDIRECT) {
      return undefined;
    }
    const length = uint16(frame, ETHERNET_LENGTH + 4);
    if (length < REDIRECT_OPTION + OPTION_LENGTH - ICMPV6) return undefined;
    const [type, units] = frame.subarray(REDIRECT_OPTION);
    return type === TARGET_LINK_LAYER && units === 1 ? new Redirect(frame) : undefined;
  }

  /** Of the next hop. */
  get mac(): Uint8Array {
    return at(this.#frame, REDIRECT_OPTION + 2, 6);
  }

  tell(mac: Uint8Array): void {
    retell(this.#frame, REDIRECT_OPTION, mac);
  }
}

export type Discovery = ArpMessage | NeighborMessage;

/** What a frame asks or tells about link-layer addresses; undefined: nothing that concerns us. */
export function discoveryIn(frame: Uint8Array): Discovery | undefined {
  const { etherType } = new EthernetView(frame);
  if (etherType === ETHERTYPE_ARP) return ArpMessage.over(frame);
  return etherType === ETHERTYPE_IPV6 ? NeighborMessage.over(frame) : undefined;
}

/** The addresses of an IP packet, or of an ARP packet, by which peers are told apart. */
export interface Ends {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** Undefined: neither IP nor ARP, or too short. */
export function endsOf(frame: Uint8Array): Ends | undefined {
  switch (new EthernetView(frame).etherType) {
    case ETHERTYPE_IPV4:
      if (frame.byteLength < ETHERNET_LENGTH + 20) return undefined;
      return { source: at(frame, 26, 4), destination: at(frame, 30, 4) };
    case ETHERTYPE_IPV6:
      if (frame.byteLength < ICMPV6) return undefined;
      return { source: at(frame, 22, 16), destination: at(frame, 38, 16) };
    case ETHERTYPE_ARP: {
      const arp = ArpMessage.over(frame);
      return arp && { source: arp.sender, destination: arp.target };
    }
    default:
      return undefined;
  }
}
