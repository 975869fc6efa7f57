// What a group that nobody serves answers (B7): a TCP segment gets a reset, a datagram "port unreachable", as from a machine on which
// nothing listens. The packets are whole IP packets from the VIP, for the kernel to route. Answers are limited, so that nobody can use the
// cluster to send more than it gets, nor keep its agent busy.
import { elapsedMs, type Instant } from "#base/time.ts";
import { ETHERNET_LENGTH } from "#wire/ethernet.ts";
import { PROTOCOL_ICMP, PROTOCOL_TCP, PROTOCOL_UDP, IPV4_LENGTH } from "#wire/ipv4.ts";
import { internetChecksum, transportChecksum } from "#wire/ipv4-checksum.ts";
import { ipPacket } from "#wire/ip-packet.ts";
import { IPV6_LENGTH, PROTOCOL_ICMPV6 } from "#wire/ipv6.ts";
import { putUint16 } from "#wire/network-order.ts";
import { closingReset } from "#wire/tcp.ts";
import type { Answering } from "./tables.ts";
import { type IpPacket, isMulticast, readPacket } from "./packet.ts";

/** Answers a second, and at once. The kernel's own limit for all ICMP is 1000 as well (icmp_msgs_per_sec). */
export const ANSWERS_PER_SECOND = 1000;
const ICMP_HEADER = 8;
/** An ICMP error is no longer than every host can take (RFC 1812 section 4.3.2.3, RFC 4443 section 2.4). */
const LONGEST_V4 = 576;
const LONGEST_V6 = 1280;

export interface Answer {
  readonly kind: "reset" | "unreachable";
  /** A whole IP packet. */
  readonly packet: Uint8Array;
  /** Where it goes, 4 or 16 bytes. */
  readonly destination: Uint8Array;
}

/** Undefined: nothing is answered, as RFC 9293 (no reset for a reset) and RFC 1122 (section 3.2.2) have it. */
export function refusalOf(frame: Uint8Array): Answer | undefined {
  const packet = readPacket(frame);
  if (typeof packet === "string" || packet.type !== "ip" || packet.fragment === "later") {
    return undefined;
  }
  if (isMulticast(packet) || !isOneHost(packet.source)) return undefined;
  switch (packet.protocol) {
    case PROTOCOL_TCP: {
      const segment = closingReset(packet.transport);
      if (segment === undefined) return undefined;
      return answer("reset", packet, PROTOCOL_TCP, segment);
    }
    case PROTOCOL_UDP:
      return unreachable(packet, frame.subarray(ETHERNET_LENGTH));
    default:
      return undefined;
  }
}

/** Neither unspecified, nor multicast or beyond. */
function isOneHost(source: Uint8Array): boolean {
  const [first = 0] = source;
  return (
    source.some((byte) => byte !== 0) && (source.byteLength === 4 ? first < 224 : first !== 0xff)
  );
}

/** RFC 792 type 3 code 3, RFC 4443 type 1 code 4; with as much of the packet as there is room for. */
function unreachable(packet: IpPacket, cause: Uint8Array): Answer {
  const is4 = packet.family === 4;
  const room = is4 ? LONGEST_V4 - IPV4_LENGTH : LONGEST_V6 - IPV6_LENGTH;
  const end = packet.transport.byteOffset + packet.transport.byteLength - cause.byteOffset;
  const quoted = cause.subarray(0, Math.min(end, room - ICMP_HEADER));
  const message = new Uint8Array(ICMP_HEADER + quoted.byteLength);
  message.set(is4 ? [3, 3] : [1, 4]);
  message.set(quoted, ICMP_HEADER);
  return answer("unreachable", packet, is4 ? PROTOCOL_ICMP : PROTOCOL_ICMPV6, message);
}

const TCP_CHECKSUM = 16;
const ICMP_CHECKSUM = 2;

/** From the address that was asked, back to the one that asked. */
function answer(
  kind: Answer["kind"],
  { source, destination }: IpPacket,
  protocol: number,
  payload: Uint8Array,
): Answer {
  const addresses = { source: destination.slice(), destination: source.slice() };
  const checksum =
    protocol === PROTOCOL_ICMP
      ? internetChecksum(payload)
      : transportChecksum(addresses, protocol, payload);
  putUint16(payload, protocol === PROTOCOL_TCP ? TCP_CHECKSUM : ICMP_CHECKSUM, checksum);
  return {
    kind,
    packet: ipPacket(addresses, protocol, payload),
    destination: addresses.destination,
  };
}

/** Since the start, by what became of packets for groups that nobody serves. */
export interface RefusalCounts {
  readonly reset: number;
  readonly unreachable: number;
  /** The group drops, or there is no answer to such a packet. */
  readonly unanswered: number;
  /** There had been too many answers in that second. */
  readonly limited: number;
}

export class Refusals {
  #counts = { reset: 0, unreachable: 0, unanswered: 0, limited: 0 };
  #tokens = ANSWERS_PER_SECOND;
  #filledAt: Instant | undefined;

  get counts(): RefusalCounts {
    return this.#counts;
  }

  /** The answer to a frame of a group that asks for this. */
  answer(now: Instant, how: Answering, frame: Uint8Array): Answer | undefined {
    const refusal = how === "drop" ? undefined : refusalOf(frame);
    const counted =
      refusal === undefined ? "unanswered" : this.#take(now) ? refusal.kind : "limited";
    this.#counts = { ...this.#counts, [counted]: this.#counts[counted] + 1 };
    return counted === "limited" ? undefined : refusal;
  }

  #take(now: Instant): boolean {
    const gainedMs = this.#filledAt === undefined ? 0 : elapsedMs(this.#filledAt, now);
    this.#filledAt = now;
    this.#tokens = Math.min(
      ANSWERS_PER_SECOND,
      this.#tokens + (gainedMs * ANSWERS_PER_SECOND) / 1000,
    );
    if (this.#tokens < 1) return false;
    this.#tokens -= 1;
    return true;
  }
}
