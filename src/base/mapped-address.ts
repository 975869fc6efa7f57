// IPv4 addresses in 16 bytes, ::ffff:a.b.c.d (RFC 4291 section 2.5.5.2): as sockets of both families show them, and as the packet
// programs keep every address.

const LENGTH = 16;
const PREFIX = Uint8Array.of(0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 0xff, 0xff);

/** Writes an address of 4 or 16 bytes as 16 bytes at an offset. */
export function putMapped(into: Uint8Array, at: number, address: Uint8Array): void {
  if (address.byteLength === 4) into.set(PREFIX, at);
  into.set(address, at + LENGTH - address.byteLength);
}

/** Four bytes of a mapped address, otherwise the same. A view. */
export function unmapped(address: Uint8Array): Uint8Array {
  const isMapped =
    address.byteLength === LENGTH && PREFIX.every((byte, at) => address[at] === byte);
  return isMapped ? address.subarray(PREFIX.byteLength) : address;
}
