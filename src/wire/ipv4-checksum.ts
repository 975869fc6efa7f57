// The Internet checksum (RFC 1071) of IPv4 headers, and of UDP, TCP and ICMPv6 over a pseudo-header
// (RFC 768, RFC 9293, RFC 8200 section 8.1).

/** Ones' complement of the ones' complement sum of 16-bit words; an odd last byte is padded with 0. */
export function internetChecksum(...parts: readonly Uint8Array[]): number {
  let sum = 0;
  for (const bytes of parts) {
    for (let at = 0; at < bytes.byteLength; at += 2) {
      sum += ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);
    }
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + Math.floor(sum / 0x10000);
  return ~sum & 0xffff;
}

/** Addresses of 4 or 16 bytes. The pseudo-header of IPv6 gives the same sum in both families. */
export function transportChecksum(
  addresses: { readonly source: Uint8Array; readonly destination: Uint8Array },
  protocol: number,
  segment: Uint8Array,
): number {
  const length = segment.byteLength;
  const tail = Uint8Array.of(length >>> 24, length >>> 16, length >>> 8, length, 0, 0, 0, protocol);
  return internetChecksum(addresses.source, addresses.destination, tail, segment);
}
