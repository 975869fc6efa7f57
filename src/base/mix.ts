// The closing mix of Jenkins' lookup3 (2006, public domain): three 32-bit numbers become one, every bit of which depends on all of them.

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
