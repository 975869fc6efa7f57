// The flow hash: which slot of a group's table a flow belongs to (A14, B3, B12), the same on every member. There are two:
//
// keyed  (the default) so that clients cannot choose their slot. `final` is the closing mix of Jenkins' lookup3 (2006,
//        public domain).
// xor    as published: start with the source address, and for traffic that is routed through the cluster with source and
//        destination; by exclusive or add the source port of TCP and UDP, or for any other protocol the destination address;
//        then collapse the sum into the number of a work set. The publication says that L2TP's tunnel and session id go in
//        as well; we add every discriminator of discriminator.ts. How the sum is collapsed is not printed: here all its bits
//        take part, by exclusive or of pieces as wide as the number. (The printed function would go on to add the port, or
//        the destination once more, also for routed traffic; then the two directions of a connection would part, and the
//        destination cancel itself. A14 asks for source and destination.)
import { mix } from "#base/mix.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { Policy, Tables } from "./tables.ts";

/** Two 32-bit keys. */
export type HashKey = readonly [number, number];

/** What of a flow decides its slot. Addresses: 4 or 16 bytes in network order. */
export interface HashInput {
  readonly protocol: number;
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly discriminator: number;
}

/** 32 bits as a little-endian machine loads them. */
function word(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return (a ?? 0) | ((b ?? 0) << 8) | ((c ?? 0) << 16) | ((d ?? 0) << 24);
}

/** The keyed hash of an address and a discriminator. */
export function flowHash(key: HashKey, address: Uint8Array, discriminator: number): number {
  const [k0, k1] = key;
  if (address.byteLength === 4) return mix(k0 + word(address, 0), k0 + discriminator, k1);
  const inner = mix(k0 + word(address, 0), k0 + word(address, 4), k1 + discriminator);
  return mix(k0 + word(address, 8), k0 + word(address, 12), inner);
}

function keyed(key: HashKey, policy: Policy, input: HashInput): number {
  const { source, destination, discriminator } = input;
  const [k0, k1] = key;
  switch (policy) {
    case "weighted":
    case "quic":
      return flowHash(key, source, discriminator);
    case "sticky":
    case "wildcard-sticky":
      return flowHash(key, source, 0);
    case "routed":
    case "routed-symmetric": {
      const [from, to] = [flowHash(key, source, 0), flowHash(key, destination, 0)];
      if (policy === "routed") return mix(k0 + from, k0 + to, k1);
      return mix(k0 + from + to, k0 + ((from ^ to) >>> 0), k1);
    }
  }
}

function xorWords(address: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < address.byteLength; at += 4) sum ^= word(address, at);
  return sum;
}

function xorSum(
  policy: Policy,
  { protocol, source, destination, discriminator }: HashInput,
): number {
  const from = xorWords(source);
  switch (policy) {
    case "sticky":
    case "wildcard-sticky":
      return from;
    case "routed":
    case "routed-symmetric":
      return from ^ xorWords(destination);
    case "weighted":
    case "quic": {
      const hasPorts = protocol === PROTOCOL_TCP || protocol === PROTOCOL_UDP;
      return from ^ discriminator ^ (hasPorts ? 0 : xorWords(destination));
    }
  }
}

/** All bits of a 32-bit sum take part in the number of a slot. */
function collapse(sum: number, slots: number): number {
  const bits = Math.log2(slots);
  let folded = 0;
  for (let rest = sum >>> 0; rest !== 0; rest >>>= bits) folded ^= rest;
  return folded & (slots - 1);
}

/** The slot of a flow in a group of that many slots (a power of two, at least two). */
export function slotOf(
  { hash, hashKey }: Pick<Tables, "hash" | "hashKey">,
  policy: Policy,
  input: HashInput,
  slots: number,
): number {
  if (hash === "xor") return collapse(xorSum(policy, input), slots);
  return keyed(hashKey, policy, input) & (slots - 1);
}
