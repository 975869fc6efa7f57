// A16: segments that ask a peer where it stands, byte by byte. The checksums were summed by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { internetChecksum } from "../ipv4-checksum.ts";
import { bareSegment } from "./bare-segment.ts";

const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
const bytesOf = (text: string): string => text.replaceAll(/\s/g, "");

const OVER_IPV4 = {
  key: { vip: ip("10.0.0.100"), port: 80, peer: ip("192.0.2.7"), peerPort: 40_000 },
  sequence: 0x01020304,
  acknowledgement: 0x05060708,
  window: 0x1000,
  timestamps: undefined,
};

test("A16: IPv4 without timestamps", () => {
  const packet = bareSegment({ ...OVER_IPV4, garbage: false });
  // IPv4: 4500+0028+4000+4006+0a00+0064+c000+0207 = 19199 -> 919a -> ~ 6e65
  // TCP: 0a00+0064+c000+0207+0006+0014 + 0050+9c40+0102+0304+0506+0708+5010+1000 = 1d939 -> d93a -> ~ 26c5
  assert.equal(
    hex(packet),
    bytesOf(`
      4500 0028 0000 4000 4006 6e65 0a000064 c0000207
      0050 9c40 01020304 05060708 5010 1000 26c5 0000`),
  );
});

test("A16: IPv6 with timestamps; the checksum is right when the sum over everything is 0", () => {
  const [vip, peer] = [ip("2001:db8::100"), ip("2001:db8:1::7")];
  const packet = bareSegment({
    key: { vip, port: 443, peer, peerPort: 1 },
    sequence: 0xffff_ffff,
    acknowledgement: 0,
    window: 1,
    timestamps: { value: 0x0a0b0c0d, echo: 0x01020304 },
    garbage: false,
  });
  assert.equal(
    hex(packet.subarray(0, 40)),
    bytesOf(
      "60000000 0020 06 40 20010db8000000000000000000000100 20010db8000100000000000000000007",
    ),
  );
  const segment = packet.subarray(40);
  assert.equal(hex(segment.subarray(0, 16)), bytesOf("01bb 0001 ffffffff 00000000 8010 0001"));
  assert.equal(hex(segment.subarray(18)), bytesOf("0000 0101080a 0a0b0c0d 01020304"));
  const pseudo = Uint8Array.of(0, 0, 0, segment.byteLength, 0, 0, 0, 6);
  assert.equal(internetChecksum(packet.subarray(8, 40), pseudo, segment), 0);
});

test("A16: a byte of garbage is behind the header and counts in its lengths and in the checksum", () => {
  const packet = bareSegment({ ...OVER_IPV4, garbage: true });
  // As the first, with a length of 0x29 and 0x15: each checksum is one less.
  assert.equal(
    hex(packet),
    bytesOf(`
      4500 0029 0000 4000 4006 6e64 0a000064 c0000207
      0050 9c40 01020304 05060708 5010 1000 26c4 0000 00`),
  );
});
