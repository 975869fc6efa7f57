// Address Resolution Protocol over Ethernet and IPv4 (RFC 826):
//   hardware type(2) protocol type(2) lengths(1+1) operation(2) | sender MAC(6) IP(4) | target MAC(6) IP(4)
import { assert } from "#base/assert.ts";
import { refused, type Decoded } from "./decoded.ts";

export const ARP_LENGTH = 28;
const PREAMBLE = [0x00, 0x01, 0x08, 0x00, 6, 4] as const; // Ethernet, IPv4, their address lengths
const OPERATION = 6;
const SENDER_MAC = 8;
const SENDER_IP = 14;
const TARGET_MAC = 18;
const TARGET_IP = 24;

/** MAC addresses have 6 bytes, IP addresses 4, in network order. */
export interface Arp {
  readonly operation: "request" | "reply";
  readonly senderMac: Uint8Array;
  readonly senderIp: Uint8Array;
  readonly targetMac: Uint8Array;
  readonly targetIp: Uint8Array;
}

const OPERATIONS: Readonly<Record<number, Arp["operation"]>> = { 1: "request", 2: "reply" };

export function decodeArp(bytes: Uint8Array): Decoded<Arp> {
  if (bytes.byteLength < ARP_LENGTH) return refused("incomplete");
  if (!PREAMBLE.every((byte, index) => bytes[index] === byte)) return refused("malformed");
  const operation = OPERATIONS[((bytes[OPERATION] ?? 0) << 8) | (bytes[OPERATION + 1] ?? 0)];
  if (operation === undefined) return refused("unsupported");
  const value = {
    operation,
    senderMac: bytes.subarray(SENDER_MAC, SENDER_IP),
    senderIp: bytes.subarray(SENDER_IP, TARGET_MAC),
    targetMac: bytes.subarray(TARGET_MAC, TARGET_IP),
    targetIp: bytes.subarray(TARGET_IP, ARP_LENGTH),
  };
  return { ok: true, value, length: ARP_LENGTH };
}

export function encodeArp(arp: Arp): Uint8Array {
  assert(arp.senderMac.byteLength === 6 && arp.targetMac.byteLength === 6, "a MAC has 6 bytes");
  assert(arp.senderIp.byteLength === 4 && arp.targetIp.byteLength === 4, "ARP is for IPv4");
  const bytes = new Uint8Array(ARP_LENGTH);
  bytes.set(PREAMBLE);
  bytes[OPERATION + 1] = arp.operation === "request" ? 1 : 2;
  bytes.set(arp.senderMac, SENDER_MAC);
  bytes.set(arp.senderIp, SENDER_IP);
  bytes.set(arp.targetMac, TARGET_MAC);
  bytes.set(arp.targetIp, TARGET_IP);
  return bytes;
}
