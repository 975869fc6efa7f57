// The flow hash: which slot of a group's table a flow belongs to (A14, B3, B12). Keyed, so that clients cannot choose
// their slot, and the same on every member. `final` is the closing mix of Jenkins' lookup3 (2006, public domain).

/** Two 32-bit keys. */
export type HashKey = readonly [number, number];

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

/** lookup3's final(a, b, c); answers c as an unsigned 32-bit number. */
export function mix(a: number, b: number, c: number): number {
  let [x, y, z] = [a | 0, b | 0, c | 0];
  z = ((z ^ y) - rotate(y, 14)) | 0;
  x = ((x ^ z) - rotate(z, 11)) | 0;
  y = ((y ^ x) - rotate(x, 25)) | 0;
  z = ((z ^ y) - rotate(y, 16)) | 0;
  x = ((x ^ z) - rotate(z, 4)) | 0;
  y = ((y ^ x) - rotate(x, 14)) | 0;
  z = ((z ^ y) - rotate(y, 24)) | 0;
  return z >>> 0;
}

/** 32 bits as a little-endian machine loads them. */
function word(bytes: Uint8Array, at: number): number {
  const [a, b, c, d] = [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
  return (a ?? 0) | ((b ?? 0) << 8) | ((c ?? 0) << 16) | ((d ?? 0) << 24);
}

/**
 * Hash of a flow; slot = hash & (slots − 1).
 * `source`: 4 or 16 bytes in network order. `sourcePort`: the port's number, 0 for sticky groups.
 */
export function flowHash(key: HashKey, source: Uint8Array, sourcePort: number): number {
  const [k0, k1] = key;
  const port = ((sourcePort & 0xff) << 8) | (sourcePort >>> 8);
  if (source.byteLength === 4) return mix(k0 + word(source, 0), k0 + port, k1);
  const inner = mix(k0 + word(source, 0), k0 + word(source, 4), k1 + port);
  return mix(k0 + word(source, 8), k0 + word(source, 12), inner);
}
