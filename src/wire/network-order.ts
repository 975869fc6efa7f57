// Numbers in network order (big-endian) at an offset of bytes whose length has been checked.

export const uint16 = (bytes: Uint8Array, at: number): number =>
  ((bytes[at] ?? 0) << 8) | (bytes[at + 1] ?? 0);

export const uint32 = (bytes: Uint8Array, at: number): number =>
  ((uint16(bytes, at) << 16) | uint16(bytes, at + 2)) >>> 0;

export function putUint16(bytes: Uint8Array, at: number, value: number): void {
  bytes[at] = value >>> 8;
  bytes[at + 1] = value;
}

export function putUint32(bytes: Uint8Array, at: number, value: number): void {
  putUint16(bytes, at, value >>> 16);
  putUint16(bytes, at + 2, value & 0xffff);
}
