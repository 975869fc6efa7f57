// Neighbor Discovery (RFC 4861 sections 4.3 and 4.4), as far as VIPs are asked for and announced:
//   type(1) code(1) checksum(2) | flags(4) | target address(16) | options: type(1) length in 8 bytes(1) MAC(6)
import { assert } from "#base/assert.ts";
import { refused, type Decoded } from "./decoded.ts";
import { transportChecksum } from "./ipv4-checksum.ts";
import { IPV6_LENGTH, PROTOCOL_ICMPV6 } from "./ipv6.ts";
import { putUint16 } from "./network-order.ts";

/** Without options. */
export const NEIGHBOR_LENGTH = 24;
export const NEIGHBOR_SOLICITATION = 135;
const NEIGHBOR_ADVERTISEMENT = 136;
const TARGET = 8;
const SOURCE_LINK_LAYER = 1;
const TARGET_LINK_LAYER = 2;
const OPTION_LENGTH = 8;
const FLAG_OVERRIDE = 0x20;
const HOP_LIMIT = 255; // RFC 4861 section 7.1: proves that no router has touched the packet
const ALL_NODES = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1);

/** Who has this address? */
export interface NeighborSolicitation {
  readonly target: Uint8Array;
}

/** Reads an ICMPv6 message. Options and checksum are not looked at. */
export function decodeSolicitation(message: Uint8Array): Decoded<NeighborSolicitation> {
  if (message.byteLength < NEIGHBOR_LENGTH) return refused("incomplete");
  if (message[0] !== NEIGHBOR_SOLICITATION) return refused("unsupported");
  const value = { target: message.subarray(TARGET, NEIGHBOR_LENGTH) };
  return { ok: true, value, length: NEIGHBOR_LENGTH };
}

interface Envelope {
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
}

/** An IPv6 packet around an ICMPv6 message, whose checksum is filled in. */
function encodePacket(envelope: Envelope, message: Uint8Array): Uint8Array {
  putUint16(message, 2, transportChecksum(envelope, PROTOCOL_ICMPV6, message));
  const packet = new Uint8Array(IPV6_LENGTH + message.byteLength);
  packet[0] = 0x60;
  putUint16(packet, 4, message.byteLength);
  packet[6] = PROTOCOL_ICMPV6;
  packet[7] = HOP_LIMIT;
  packet.set(envelope.source, 8);
  packet.set(envelope.destination, 24);
  packet.set(message, IPV6_LENGTH);
  return packet;
}

function encodeMessage(
  type: number,
  target: Uint8Array,
  option: number,
  mac: Uint8Array,
): Uint8Array {
  assert(target.byteLength === 16 && mac.byteLength === 6, "an IPv6 address and a MAC");
  const message = new Uint8Array(NEIGHBOR_LENGTH + OPTION_LENGTH);
  message[0] = type;
  message.set(target, TARGET);
  message[NEIGHBOR_LENGTH] = option;
  message[NEIGHBOR_LENGTH + 1] = 1;
  message.set(mac, NEIGHBOR_LENGTH + 2);
  return message;
}

/** IPv6 packet to all nodes: `address` is now at `mac` (unsolicited, override; RFC 4861 section 7.2.6). */
export function encodeUnsolicitedAdvertisement(address: Uint8Array, mac: Uint8Array): Uint8Array {
  const message = encodeMessage(NEIGHBOR_ADVERTISEMENT, address, TARGET_LINK_LAYER, mac);
  message[4] = FLAG_OVERRIDE;
  return encodePacket({ source: address, destination: ALL_NODES }, message);
}

/** IPv6 packet to the solicited-node group of `target`: who has it? */
export function encodeSolicitation(
  source: { readonly address: Uint8Array; readonly mac: Uint8Array },
  target: Uint8Array,
): Uint8Array {
  const group = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  group.set(target.subarray(13), 13);
  const message = encodeMessage(NEIGHBOR_SOLICITATION, target, SOURCE_LINK_LAYER, source.mac);
  return encodePacket({ source: source.address, destination: group }, message);
}
