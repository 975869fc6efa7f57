// What a client is told whose packet does not fit into the tunnel to its node (B11, docs/adr/0022): "fragmentation needed" with the longest
// packet that does (RFC 1191), or "packet too big" (RFC 8201), from the VIP, as a router on the way would. IPv4 clients are told also
// where they allow fragments: nobody here makes any.
import type { Instant } from "#base/time.ts";
import { ETHERNET_LENGTH } from "#wire/ethernet.ts";
import { IPV6_LENGTH } from "#wire/ipv6.ts";
import { isIcmpError } from "#wire/icmp.ts";
import { uint16 } from "#wire/network-order.ts";
import { AnswerLimit, type AnswerPacket, icmpError, isFromOneToOne } from "./answers.ts";
import { icmpOf, type IpPacket, readPacket } from "./packet.ts";
import { SourceLimits } from "./source-limits.ts";

/** Undefined: such a packet is not answered (RFC 1122 section 3.2.2, RFC 4443 section 2.4). @param frame its beginning, with the whole header */
export function tooBig(frame: Uint8Array, longest: number): AnswerPacket | undefined {
  const packet = readPacket(withoutEnd(frame));
  if (typeof packet === "string" || packet.type !== "ip" || packet.fragment === "later") {
    return undefined;
  }
  if (!isFromOneToOne(packet) || isError(packet)) return undefined;
  return icmpError(packet, frame.subarray(ETHERNET_LENGTH), {
    ipv4: [3, 4],
    ipv6: [2, 0],
    rest: longest,
  });
}

const isError = ({ family, protocol, transport }: IpPacket): boolean =>
  protocol === icmpOf(family) && isIcmpError(family, transport[0] ?? 0);

/** A copy whose length fields say what is there of it: a packet that stands for many, or was cut, is longer than what was kept. */
function withoutEnd(frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  const packet = copy.subarray(ETHERNET_LENGTH);
  const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
  const [at, header] = (packet[0] ?? 0) >> 4 === 4 ? [2, 0] : [4, IPV6_LENGTH];
  if (packet.byteLength < at + 2 || packet.byteLength < header) return copy;
  const left = packet.byteLength - header;
  if (uint16(packet, at) > left) view.setUint16(at, left);
  return copy;
}

/** Since the start, by what became of packets that did not fit. */
export interface TooBigCounts {
  /** Their senders have been told. */
  readonly tooBigTold: number;
  /** There is no answer to such a packet. */
  readonly tooBigUntold: number;
  /** There had been too many answers in that second, to that source or to all. */
  readonly tooBigLimited: number;
}

export class TooBig {
  #counts = { tooBigTold: 0, tooBigUntold: 0, tooBigLimited: 0 };
  readonly #limit = new AnswerLimit();
  readonly #sources = new SourceLimits();

  get counts(): TooBigCounts {
    return this.#counts;
  }

  answer(now: Instant, frame: Uint8Array, longest: number): AnswerPacket | undefined {
    const answer = tooBig(frame, longest);
    const counted =
      answer === undefined
        ? "tooBigUntold"
        : this.#mayTell(now, answer.destination)
          ? "tooBigTold"
          : "tooBigLimited";
    this.#counts = { ...this.#counts, [counted]: this.#counts[counted] + 1 };
    return counted === "tooBigTold" ? answer : undefined;
  }

  #mayTell(now: Instant, source: Uint8Array): boolean {
    return this.#sources.take(now, source) && this.#limit.take(now);
  }
}
