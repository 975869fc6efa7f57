// The closing mix of Jenkins' lookup3 (2006, public domain): three 32-bit numbers become three, every bit of the last of which depends on all.

const rotate = (x: number, bits: number): number => (x << bits) | (x >>> (32 - bits));

/** lookup3's final(a, b, c), in place. */
export function mixWords(words: Int32Array): void {
  let [x, y, z] = [words[0] ?? 0, words[1] ?? 0, words[2] ?? 0];
  z = ((z ^ y) - rotate(y, 14)) | 0;
  x = ((x ^ z) - rotate(z, 11)) | 0;
  y = ((y ^ x) - rotate(x, 25)) | 0;
  z = ((z ^ y) - rotate(y, 16)) | 0;
  x = ((x ^ z) - rotate(z, 4)) | 0;
  y = ((y ^ x) - rotate(x, 14)) | 0;
  z = ((z ^ y) - rotate(y, 24)) | 0;
  words[0] = x;
  words[1] = y;
  words[2] = z;
}

const scratch = new Int32Array(3);

/** Answers its c alone, as an unsigned 32-bit number. */
export function mix(a: number, b: number, c: number): number {
  scratch[0] = a;
  scratch[1] = b;
  scratch[2] = c;
  mixWords(scratch);
  return (scratch[2] ?? 0) >>> 0;
}
