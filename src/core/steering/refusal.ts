// What a group that nobody serves answers (B7): a TCP segment gets a reset, a datagram "port unreachable", as from a machine on which
// nothing listens. The packets are whole IP packets from the VIP, for the kernel to route. Answers are limited, so that nobody can use the
// cluster to send more than it gets, nor keep its agent busy.
import type { Instant } from "#base/time.ts";
import { ETHERNET_LENGTH } from "#wire/ethernet.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import { closingReset } from "#wire/tcp.ts";
import {
  AnswerLimit,
  type AnswerPacket,
  answerPacket,
  icmpError,
  isFromOneToOne,
} from "./answers.ts";
import type { Answering } from "./tables.ts";
import { readPacket } from "./packet.ts";

/** RFC 792 type 3 code 3, RFC 4443 type 1 code 4. */
const PORT_UNREACHABLE = { ipv4: [3, 3], ipv6: [1, 4], rest: 0 } as const;

export interface Answer extends AnswerPacket {
  readonly kind: "reset" | "unreachable";
}

/** Undefined: nothing is answered, as RFC 9293 (no reset for a reset) and RFC 1122 (section 3.2.2) have it. */
export function refusalOf(frame: Uint8Array): Answer | undefined {
  const packet = readPacket(frame);
  if (typeof packet === "string" || packet.type !== "ip" || packet.fragment === "later") {
    return undefined;
  }
  if (!isFromOneToOne(packet)) return undefined;
  switch (packet.protocol) {
    case PROTOCOL_TCP: {
      const segment = closingReset(packet.transport);
      if (segment === undefined) return undefined;
      return { kind: "reset", ...answerPacket(packet, PROTOCOL_TCP, segment) };
    }
    case PROTOCOL_UDP: {
      const { byteOffset, byteLength } = packet.transport;
      const end = byteOffset + byteLength - frame.byteOffset; // without padding
      const error = icmpError(packet, frame.subarray(ETHERNET_LENGTH, end), PORT_UNREACHABLE);
      return { kind: "unreachable", ...error };
    }
    default:
      return undefined;
  }
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
  readonly #limit = new AnswerLimit();

  get counts(): RefusalCounts {
    return this.#counts;
  }

  /** The answer to a frame of a group that asks for this. */
  answer(now: Instant, how: Answering, frame: Uint8Array): Answer | undefined {
    const refusal = how === "drop" ? undefined : refusalOf(frame);
    const counted =
      refusal === undefined ? "unanswered" : this.#limit.take(now) ? refusal.kind : "limited";
    this.#counts = { ...this.#counts, [counted]: this.#counts[counted] + 1 };
    return counted === "limited" ? undefined : refusal;
  }
}
