// One flow as its server sees it, as a key: the bytes of protocol, addresses and ports, one character a byte, so that equal flows are
// equal strings and order is the same everywhere. The key is also how a flow is written in tables and reports:
//
//   u8 protocol, plus 128 for IPv6 | source address | source port | destination address | destination port
//
// Ports are in network order. Its *print* are 51 bits by which the packet program knows a flow again; follows bpf/exception.h.
import { mixWords } from "#base/mix.ts";
import type { ByteReader, ByteWriter } from "./byte-cursor.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "./ipv4.ts";

export type FlowKey = string;

/** Addresses in network order, 4 or 16 bytes each. */
export interface FlowEnds {
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly sourcePort: number;
  readonly destination: Uint8Array;
  readonly destinationPort: number;
}

const IPV6 = 0x80;
const IPV4_LENGTH = 13;
const IPV6_LENGTH = 37;
export const LONGEST_FLOW_KEY = IPV6_LENGTH;

export function flowKey(flow: FlowEnds): FlowKey {
  const { protocol, source, sourcePort, destination, destinationPort } = flow;
  const family = source.byteLength === 4 ? 0 : IPV6;
  return String.fromCharCode(
    protocol | family,
    ...source,
    sourcePort >>> 8,
    sourcePort & 0xff,
    ...destination,
    destinationPort >>> 8,
    destinationPort & 0xff,
  );
}

const octets = (key: FlowKey, from: number, to: number): Uint8Array =>
  Uint8Array.from({ length: to - from }, (_, index) => key.charCodeAt(from + index));

const port = (key: FlowKey, at: number): number =>
  (key.charCodeAt(at) << 8) | key.charCodeAt(at + 1);

export function flowEnds(key: FlowKey): FlowEnds {
  const size = key.length === IPV4_LENGTH ? 4 : 16;
  return {
    protocol: key.charCodeAt(0) & ~IPV6,
    source: octets(key, 1, 1 + size),
    sourcePort: port(key, 1 + size),
    destination: octets(key, 3 + size, 3 + 2 * size),
    destinationPort: port(key, 3 + 2 * size),
  };
}

export function writeFlow(writer: ByteWriter, key: FlowKey): void {
  writer.characters(key);
}

/** Undefined when it is neither TCP nor UDP. */
export function readFlow(reader: ByteReader): FlowKey | undefined {
  const first = reader.u8();
  const protocol = first & ~IPV6;
  if (protocol !== PROTOCOL_TCP && protocol !== PROTOCOL_UDP) return undefined;
  const rest = reader.characters((first === protocol ? IPV4_LENGTH : IPV6_LENGTH) - 1);
  return reader.short ? undefined : String.fromCharCode(first) + rest;
}

/** By what the packet program knows a flow, and where it looks for it. */
export interface FlowPrint {
  /** 51 bits. Two flows with the same print are one flow to the packet program. */
  readonly print: number;
  /** 32 bits: 16 for the first bucket in which it may be, 16 for the second. */
  readonly place: number;
}

/** As a little-endian machine loads four bytes. */
const word = (key: FlowKey, at: number): number =>
  key.charCodeAt(at) |
  (key.charCodeAt(at + 1) << 8) |
  (key.charCodeAt(at + 2) << 16) |
  (key.charCodeAt(at + 3) << 24);

/** As a little-endian machine loads two bytes. */
const half = (key: FlowKey, at: number): number =>
  key.charCodeAt(at) | (key.charCodeAt(at + 1) << 8);

/** Odd, so that no bit of a port is lost. */
const PRINT_FACTOR = 0x9e3779b1;

/** Of source address and port, as for the slot (core/steering/hash.ts), but of all three words. */
function mixedSource([k0, k1]: readonly [number, number], key: FlowKey): Int32Array {
  if (key.length === IPV4_LENGTH) {
    const words = Int32Array.of(k0 + word(key, 1), k0 + half(key, 5), k1);
    mixWords(words);
    return words;
  }
  const words = Int32Array.of(k0 + word(key, 1), k0 + word(key, 5), k1 + half(key, 17));
  mixWords(words);
  const folded = words[1] ?? 0;
  words[0] = k0 + word(key, 9);
  words[1] = k0 + word(key, 13);
  mixWords(words);
  words[0] = (words[0] ?? 0) + folded;
  return words;
}

/** `hashKey`: the two keys of the cluster's flow hash. */
export function flowPrint(hashKey: readonly [number, number], key: FlowKey): FlowPrint {
  const [a = 0, b = 0, c = 0] = mixedSource(hashKey, key);
  const isIpv4 = key.length === IPV4_LENGTH;
  const vip = isIpv4 ? word(key, 7) : word(key, 19) ^ word(key, 23) ^ word(key, 27) ^ word(key, 31);
  const protocol = key.charCodeAt(0) & ~IPV6;
  const service = (Math.imul(half(key, key.length - 2) | (protocol << 16), PRINT_FACTOR) + vip) | 0;
  const high = (a + service) >>> 0;
  const place = (b + (service ^ (service >>> 16))) >>> 0;
  return { print: high * 2 ** 19 + (c >>> 13), place };
}
