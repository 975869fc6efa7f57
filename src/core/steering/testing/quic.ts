// QUIC packets as a client sends them: those that RFC 9001 prints, and others of the same shapes, with any connection id.
import { unhex } from "#wire/testing/hex.ts";
import { join, u16, zeros } from "./frames.ts";

/** RFC 9001, A.2: the first 64 of the 1200 bytes of a client's protected Initial. Its connection id is made up by the client. */
export const RFC9001_INITIAL = unhex(
  "c000000001088394c8f03e5157080000449e7b9aec34d1b1c98dd7689fb8ec11" +
    "d242b123dc9bd8bab936b47d92ec356c0bab7df5976d27cd449f63300099f399",
);
/** RFC 9001, A.5: a protected packet with a short header, whose connection id is empty. */
export const RFC9001_SHORT = unhex("4cfe4189655e5cd55c41f69080575d7999c25a5bfb");

/** Of 8 bytes, as a server of that node chooses it. */
export const connectionId = (node: number, first = 0x07): Uint8Array =>
  join(Uint8Array.of(first), u16(node), unhex("a1b2c3d4e5"));

export const shortHeader = (id: Uint8Array): Uint8Array => join(Uint8Array.of(0x5a), id, zeros(24));

export const VERSION_1 = unhex("00000001");
export const VERSION_2 = unhex("6b3343cf");

/** Bits 4 and 5 of the flags. */
export const longHeader = (
  type: number,
  id: Uint8Array,
  version = VERSION_1,
  length = id.byteLength,
): Uint8Array =>
  join(
    ...[Uint8Array.of(0xc0 | (type << 4)), version, Uint8Array.of(length), id],
    ...[Uint8Array.of(0), zeros(24)],
  );
