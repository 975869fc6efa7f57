// Half checksums are completed, whole ones are left alone; the sums are worked by hand.
import assert from "node:assert/strict";
import { test } from "node:test";
import { hex, unhex } from "./testing/hex.ts";
import { completeChecksum } from "./partial-checksum.ts";

const ETHERNET4 = "025000000001 02aa000000fe 0800";
// IPv4 192.0.2.7 → 10.0.0.100, UDP, 12 bytes: pseudo-header c000 + 0207 + 0a00 + 0064 + 0011 + 000c = cc88
const IPV4 = "4500 0020 0000 4000 4011 0000 c0000207 0a000064";
const udp = (checksum: string): Uint8Array =>
  unhex(`${ETHERNET4} ${IPV4} 9c40 0035 000c ${checksum} 01020304`);

test("A15: half a UDP checksum over IPv4 is completed", () => {
  const frame = udp("cc88");
  completeChecksum(frame);
  // cc88 + 9c40 + 0035 + 000c + 0102 + 0304 = 16d0f; 6d0f + 1 = 6d10; complement 92ef
  assert.equal(hex(frame), hex(udp("92ef")));
});

test("A15: a whole checksum stays, right or wrong, and so does none", () => {
  for (const checksum of ["92ef", "1234", "0000"]) {
    const frame = udp(checksum);
    completeChecksum(frame);
    assert.equal(hex(frame), hex(udp(checksum)));
  }
});

// fd00::1 → fd00::2, TCP, 20 bytes: fd00 + 0001 + fd00 + 0002 + 0014 + 0006 = 1fa1d; fa1d + 1 = fa1e
const IPV6 = `6000 0000 0014 0640 fd00${"00".repeat(13)}01 fd00${"00".repeat(13)}02`;
const tcp = (checksum: string): Uint8Array =>
  unhex(
    `025000000001 02aa000000fe 86dd ${IPV6} 9c40 0050 00000001 00000000 5002 ffff ${checksum} 0000`,
  );

test("A15: half a TCP checksum over IPv6 is completed", () => {
  const frame = tcp("fa1e");
  completeChecksum(frame);
  // fa1e + 9c40 + 0050 + 0001 + 5002 + ffff = 2e6b0; e6b0 + 2 = e6b2; complement 194d
  assert.equal(hex(frame), hex(tcp("194d")));
});

test("A15: fragments, other protocols and what is cut short stay as they are", () => {
  const fragment = unhex(
    `${ETHERNET4} 4500 0020 0007 2000 4011 0000 c0000207 0a000064 9c40 0035 000c cc88 01020304`,
  );
  const icmp = unhex(
    `${ETHERNET4} 4500 001c 0000 4000 4001 0000 c0000207 0a000064 0800 cc78 00000000`,
  );
  for (const frame of [fragment, icmp, udp("cc88").subarray(0, 40), new Uint8Array(3)]) {
    const copy = frame.slice();
    completeChecksum(copy);
    assert.equal(hex(copy), hex(frame));
  }
});
