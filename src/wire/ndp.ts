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

/** IPv6 packet to all nodes: `address` is now at `mac` (unsolicited, override; RFC 4861 section 7.2.6). */
export function encodeUnsolicitedAdvertisement(address: Uint8Array, mac: Uint8Array): Uint8Array {
  assert(address.byteLength === 16 && mac.byteLength === 6, "an IPv6 address and a MAC");
  const message = new Uint8Array(NEIGHBOR_LENGTH + OPTION_LENGTH);
  message[0] = NEIGHBOR_ADVERTISEMENT;
  message[4] = FLAG_OVERRIDE;
  message.set(address, TARGET);
  message[NEIGHBOR_LENGTH] = TARGET_LINK_LAYER;
  message[NEIGHBOR_LENGTH + 1] = 1;
  message.set(mac, NEIGHBOR_LENGTH + 2);
  const addresses = { source: address, destination: ALL_NODES };
  putUint16(message, 2, transportChecksum(addresses, PROTOCOL_ICMPV6, message));
  const packet = new Uint8Array(IPV6_LENGTH + message.byteLength);
  packet[0] = 0x60;
  putUint16(packet, 4, message.byteLength);
  packet[6] = PROTOCOL_ICMPV6;
  packet[7] = HOP_LIMIT;
  packet.set(address, 8);
  packet.set(ALL_NODES, 24);
  packet.set(message, IPV6_LENGTH);
  return packet;
}
