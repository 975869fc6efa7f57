// Damage, from a seed: flipped bits, telling numbers, pieces cut out, doubled or taken from another input.
import type { Prng } from "#base/prng.ts";

/** Longer inputs are cut: they say little more, and cost much. */
export const MAX_INPUT = 16_384;

const TELLING = [0, 1, 2, 0x7f, 0x80, 0xff, 0x0fff, 0x1000, 0x7fff, 0x8000, 0xffff];
const TELLING_32 = [0, 1, 0xffff, 0x10000, 0x00fffffc, 0x01000000, 0x7fffffff, 0xffffffff];

type Mutation = (prng: Prng, bytes: Uint8Array, other: Uint8Array) => Uint8Array;

const joined = (...parts: readonly Uint8Array[]): Uint8Array =>
  new Uint8Array(Buffer.concat(parts));

/** A random part of the bytes, possibly empty. */
function range(prng: Prng, bytes: Uint8Array): [number, number] {
  const start = prng.below(bytes.length + 1);
  const reach = prng.chance(0.8) ? Math.min(32, bytes.length - start) : bytes.length - start;
  return [start, start + prng.below(reach + 1)];
}

function write(bytes: Uint8Array, at: number, value: number, size: number, little: boolean): void {
  for (let index = 0; index < size && at + index < bytes.length; index++) {
    bytes[at + index] = value >>> (8 * (little ? index : size - 1 - index));
  }
}

const MUTATIONS: readonly Mutation[] = [
  (prng, bytes) => {
    const at = prng.below(bytes.length);
    bytes[at] = (bytes[at] ?? 0) ^ (1 << prng.below(8));
    return bytes;
  },
  (prng, bytes) => {
    bytes[prng.below(bytes.length)] = prng.below(256);
    return bytes;
  },
  (prng, bytes) => {
    const [size, values] = prng.chance(0.5) ? [2, TELLING] : [4, TELLING_32];
    write(bytes, prng.below(bytes.length), prng.pick(values), size, prng.chance(0.5));
    return bytes;
  },
  (prng, bytes) => bytes.subarray(0, prng.below(bytes.length + 1)),
  (prng, bytes) => {
    const [start, end] = range(prng, bytes);
    return joined(bytes.subarray(0, start), bytes.subarray(end));
  },
  (prng, bytes) => {
    const [start, end] = range(prng, bytes);
    return joined(bytes.subarray(0, end), bytes.subarray(start));
  },
  (prng, bytes) => {
    const noise = Uint8Array.from({ length: 1 + prng.below(16) }, () => prng.below(256));
    const at = prng.below(bytes.length + 1);
    return joined(bytes.subarray(0, at), noise, bytes.subarray(at));
  },
  (prng, bytes, other) => {
    const [start, end] = range(prng, other);
    const at = prng.below(bytes.length + 1);
    const rest = prng.chance(0.5) ? bytes.subarray(at) : bytes.subarray(at + end - start);
    return joined(bytes.subarray(0, at), other.subarray(start, end), rest);
  },
];

/** A new input from two others, which stay as they are. */
export function mutate(prng: Prng, bytes: Uint8Array, other: Uint8Array): Uint8Array {
  let result: Uint8Array = bytes.slice();
  const rounds = 1 + prng.below(prng.chance(0.7) ? 3 : 12);
  for (let round = 0; round < rounds; round++) {
    if (result.length === 0) result = Uint8Array.of(prng.below(256));
    result = prng.pick(MUTATIONS)(prng, result, other);
  }
  return result.slice(0, MAX_INPUT);
}
