// Arithmetic of 32-bit numbers that wrap round: TCP sequence numbers (RFC 9293 section 3.4) and timestamps (RFC 7323 section 5.2).

const TWO_32 = 2 ** 32;

/** The number `by` steps further; `by` may be negative and has at most 53 bits. */
export const advance = (sequence: number, by: number): number => {
  const sum = (sequence + (by % TWO_32)) % TWO_32;
  return sum < 0 ? sum + TWO_32 : sum;
};

/** Steps from one to the other, −2^31 … 2^31 − 1: positive when `to` is later. */
export const distance = (from: number, to: number): number => (to - from) | 0;

export const isLater = (a: number, b: number): boolean => distance(b, a) > 0;

/** The one of both that is later. */
export const later = (a: number, b: number): number => (isLater(a, b) ? a : b);

/**
 * The offset in a stream that a sequence number stands for, when it is less than 2^31 away from a known one.
 * @param base sequence number of the stream's first byte
 */
export const offsetOf = (sequence: number, base: number, nearOffset: number): number =>
  nearOffset + distance(advance(base, nearOffset), sequence);
