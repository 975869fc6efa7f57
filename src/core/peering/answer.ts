// Turns a discovery request into its answer, in the same frame and of the same length, as the stack that was asked would
// answer: for a local responder (C13), and where a stack is not to learn from who asks (C10).
import { EthernetView, ETHERNET_LENGTH } from "#wire/ethernet.ts";
import { transportChecksum } from "#wire/ipv4-checksum.ts";
import { PROTOCOL_ICMPV6 } from "#wire/ipv6.ts";
import { putUint16 } from "#wire/network-order.ts";
import type { ArpMessage, Discovery, NeighborMessage } from "./discovery.ts";

const ARP_OPERATION = ETHERNET_LENGTH + 6;
const ARP_SENDER = ETHERNET_LENGTH + 14;
const ARP_TARGET = ETHERNET_LENGTH + 24;
const IPV6_PAYLOAD_LENGTH = ETHERNET_LENGTH + 4;
const IPV6_SOURCE = ETHERNET_LENGTH + 8;
const IPV6_DESTINATION = ETHERNET_LENGTH + 24;
const ICMPV6 = ETHERNET_LENGTH + 40;
const ND_END = ICMPV6 + 32;
/** Solicited and override (RFC 4861 section 7.2.4). */
const SOLICITED_OVERRIDE = 0x60;

export interface Answer {
  /** Ethernet addresses of the answer. */
  readonly from: Uint8Array;
  readonly to: Uint8Array;
  /** Where what was asked for is. */
  readonly mac: Uint8Array;
  /** ARP only: the link-layer address of who asked. */
  readonly asker: Uint8Array;
}

/** Duplicate address detection asks from nowhere, and must not be answered for somebody else. */
export const hasAsker = (message: Discovery): boolean => message.sender.some((byte) => byte !== 0);

export function turnIntoAnswer(message: Discovery, answer: Answer): void {
  if (message.type === "arp") answerArp(message, answer);
  else answerSolicitation(message, answer);
  const ethernet = new EthernetView(message.frame);
  ethernet.destination = answer.to;
  ethernet.source = answer.from;
}

function answerArp(message: ArpMessage, { mac, asker }: Answer): void {
  const { frame } = message;
  const [sender, target] = [message.sender.slice(), message.target.slice()];
  putUint16(frame, ARP_OPERATION, 2);
  frame.set(target, ARP_SENDER);
  frame.set(sender, ARP_TARGET);
  message.tell(mac);
  message.tellTarget(asker);
}

/** What follows the first option is cut off: the packet's length says so. */
function answerSolicitation(message: NeighborMessage, { mac }: Answer): void {
  const { frame } = message;
  const [source, destination] = [message.target.slice(), message.sender.slice()];
  putUint16(frame, IPV6_PAYLOAD_LENGTH, ND_END - ICMPV6);
  frame.set(source, IPV6_SOURCE);
  frame.set(destination, IPV6_DESTINATION);
  frame.set([136, 0, 0, 0, SOLICITED_OVERRIDE, 0, 0, 0], ICMPV6);
  frame.set([2, 1, ...mac], ICMPV6 + 24);
  const body = frame.subarray(ICMPV6, ND_END);
  putUint16(frame, ICMPV6 + 2, transportChecksum({ source, destination }, PROTOCOL_ICMPV6, body));
}
