// Checksums as a receiver tests them, for packets in tests; apart from ipv4-checksum.ts, which computes them.

/** Sum of 16-bit words (RFC 1071); 0xffff over anything with a right checksum in it. Each part is padded to whole words. */
export function wordSum(...parts: readonly Uint8Array[]): number {
  let total = 0;
  for (const part of parts) {
    for (const [at, byte] of part.entries()) total += at % 2 === 0 ? byte << 8 : byte;
  }
  while (total > 0xffff) total = (total & 0xffff) + Math.floor(total / 0x10000);
  return total;
}
