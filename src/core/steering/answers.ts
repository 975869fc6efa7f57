// Packets that a node answers with in the name of a VIP: whole IP packets, for the kernel to route. Answers are limited, so that nobody can
// use the cluster to send more than it gets, nor keep its agent busy.
import { elapsedMs, type Instant } from "#base/time.ts";
import { ICMP_LENGTH } from "#wire/icmp.ts";
import { PROTOCOL_ICMP, PROTOCOL_TCP, IPV4_LENGTH } from "#wire/ipv4.ts";
import { internetChecksum, transportChecksum } from "#wire/ipv4-checksum.ts";
import { ipPacket } from "#wire/ip-packet.ts";
import { IPV6_LENGTH } from "#wire/ipv6.ts";
import { putUint16, putUint32 } from "#wire/network-order.ts";
import { icmpOf, type IpPacket, isMulticast } from "./packet.ts";

/** Answers a second, and at once. The kernel's own limit for all ICMP is 1000 as well (icmp_msgs_per_sec). */
export const ANSWERS_PER_SECOND = 1000;
/** An ICMP error is no longer than every host can take (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4). */
const LONGEST_V4 = 576;
const LONGEST_V6 = 1280;
const TCP_CHECKSUM = 16;
const ICMP_CHECKSUM = 2;

export interface AnswerPacket {
  /** A whole IP packet. */
  readonly packet: Uint8Array;
  /** Where it goes, 4 or 16 bytes. */
  readonly destination: Uint8Array;
}

/** What an ICMP error says. */
export interface IcmpError {
  /** Type and code of ICMP (RFC 792) and of ICMPv6 (RFC 4443). */
  readonly ipv4: readonly [type: number, code: number];
  readonly ipv6: readonly [type: number, code: number];
  /** The four bytes before the quoted packet, as one number. */
  readonly rest: number;
}

/** Who sent the packet is one host, and so is who gets it: others must not be answered (RFC 1122 section 3.2.2). */
export const isFromOneToOne = (packet: IpPacket): boolean =>
  !isMulticast(packet) && isOneHost(packet.source);

/** Neither unspecified, nor multicast or beyond. */
function isOneHost(source: Uint8Array): boolean {
  const [first = 0] = source;
  return (
    source.some((byte) => byte !== 0) && (source.byteLength === 4 ? first < 224 : first !== 0xff)
  );
}

/** With as much of the packet as there is room for. @param cause the packet's bytes, or the first of them */
export function icmpError(packet: IpPacket, cause: Uint8Array, error: IcmpError): AnswerPacket {
  const is4 = packet.family === 4;
  const room = is4 ? LONGEST_V4 - IPV4_LENGTH : LONGEST_V6 - IPV6_LENGTH;
  const quoted = cause.subarray(0, room - ICMP_LENGTH);
  const message = new Uint8Array(ICMP_LENGTH + quoted.byteLength);
  message.set(is4 ? error.ipv4 : error.ipv6);
  putUint32(message, 4, error.rest);
  message.set(quoted, ICMP_LENGTH);
  return answerPacket(packet, icmpOf(packet.family), message);
}

/** From the address that was asked, back to the one that asked. Puts the checksum into the payload. */
export function answerPacket(
  { source, destination }: IpPacket,
  protocol: number,
  payload: Uint8Array,
): AnswerPacket {
  const addresses = { source: destination.slice(), destination: source.slice() };
  const checksum =
    protocol === PROTOCOL_ICMP
      ? internetChecksum(payload)
      : transportChecksum(addresses, protocol, payload);
  putUint16(payload, protocol === PROTOCOL_TCP ? TCP_CHECKSUM : ICMP_CHECKSUM, checksum);
  return {
    packet: ipPacket(addresses, protocol, payload),
    destination: addresses.destination,
  };
}

/** So many answers a second, and so many at once. */
export class AnswerLimit {
  readonly #perSecond: number;
  #tokens: number;
  #filledAt: Instant | undefined;

  constructor(perSecond = ANSWERS_PER_SECOND) {
    this.#perSecond = perSecond;
    this.#tokens = perSecond;
  }

  /** False: there have been too many in this second. */
  take(now: Instant): boolean {
    const gainedMs = this.#filledAt === undefined ? 0 : elapsedMs(this.#filledAt, now);
    this.#filledAt = now;
    const tokens = this.#tokens + (gainedMs * this.#perSecond) / 1000;
    this.#tokens = Math.min(this.#perSecond, tokens);
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
