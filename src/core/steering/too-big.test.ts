// What a client is told whose packet does not fit into a tunnel, byte by byte (RFC 1191, RFC 4443, RFC 8201), and what nobody is told.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { wordSum } from "#wire/testing/word-sum.ts";
import { ANSWERS_PER_SECOND } from "./answers.ts";
import {
  ACK,
  ethernet,
  fragmentHeader,
  icmp,
  ipv4,
  ipv6,
  join,
  tcp,
  zeros,
} from "./testing/frames.ts";
import { ANSWERS_PER_SOURCE } from "./source-limits.ts";
import { tooBig, TooBig } from "./too-big.ts";

const link = { to: "02:00:00:00:00:01", from: "02:00:00:00:00:99" };
const four = { source: "10.0.0.7", destination: "10.0.0.100" };
const six = { source: "fd00::7", destination: "fd00::100" };
const segment = tcp({ from: 40_000, to: 80 }, ACK, zeros(1460));
const FOUR = ethernet(link, 0x0800, ipv4(four, 6, segment));
const SIX = ethernet(link, 0x86dd, ipv6(six, 6, segment));

test("B11: IPv4: fragmentation needed, from the VIP, with the longest packet that fits and 548 bytes of the one that did not", () => {
  const { packet, destination } = tooBig(FOUR, 1480) ?? { packet: zeros(0), destination: zeros(0) };
  assert.equal(hex(destination), "0a000007");
  // RFC 791: 576 bytes in all, protocol 1, from the VIP to the client
  assert.equal(hex(packet.subarray(0, 4)), "45000240");
  assert.equal(hex(packet.subarray(9, 10)), "01");
  assert.equal(hex(packet.subarray(12, 20)), "0a0000640a000007");
  assert.equal(wordSum(packet.subarray(0, 20)), 0xffff);
  // RFC 1191: type 3, code 4, checksum, 0, next-hop MTU 1480
  assert.equal(hex(packet.subarray(20, 22)), "0304");
  assert.equal(hex(packet.subarray(24, 28)), "000005c8");
  assert.equal(hex(packet.subarray(28)), hex(FOUR.subarray(14, 14 + 548)));
  assert.equal(wordSum(packet.subarray(20)), 0xffff);
});

test("B11: IPv6: packet too big, in 1280 bytes", () => {
  const { packet } = tooBig(SIX, 1456) ?? { packet: zeros(0) };
  assert.equal(packet.byteLength, 1280);
  assert.equal(hex(packet.subarray(0, 8)), "6000000004d83a40");
  assert.equal(hex(packet.subarray(8, 40)), `fd00${"0".repeat(25)}100fd00${"0".repeat(27)}7`);
  // RFC 4443: type 2, code 0, checksum, MTU 1456 in four bytes
  assert.equal(hex(packet.subarray(40, 42)), "0200");
  assert.equal(hex(packet.subarray(44, 48)), "000005b0");
  assert.equal(hex(packet.subarray(48)), hex(SIX.subarray(14, 14 + 1232)));
  const pseudo = join(packet.subarray(8, 40), unhex("000004d8 0000003a"));
  assert.equal(wordSum(pseudo, packet.subarray(40)), 0xffff);
});

test("B11: of a packet that stands for many, or was cut, what there is of it is quoted as it came", () => {
  const cut = FOUR.slice(0, 14 + 1280);
  const { packet } = tooBig(cut, 1480) ?? { packet: zeros(0) };
  assert.equal(hex(packet.subarray(28)), hex(FOUR.subarray(14, 14 + 548)));
  const kept = new Uint8Array(2048); // the frame is a view into memory that holds others
  kept.set(cut, 100);
  const view = kept.subarray(100, 100 + cut.byteLength);
  assert.deepEqual(tooBig(view, 1480)?.packet, packet);
});

for (const [what, frame] of [
  ["an ICMP error", ethernet(link, 0x0800, ipv4(four, 1, icmp(3, 3, zeros(1460))))],
  ["an ICMPv6 error", ethernet(link, 0x86dd, ipv6(six, 58, icmp(1, 4, zeros(1460))))],
  ["a later fragment", ethernet(link, 0x0800, ipv4(four, 6, segment, { offset: 5 }))],
  [
    "a later IPv6 fragment",
    ethernet(
      link,
      0x86dd,
      ipv6(
        six,
        44,
        join(fragmentHeader(6, { identification: 1, offset: 5, more: false }), segment),
      ),
    ),
  ],
  [
    "a group's packet",
    ethernet(link, 0x0800, ipv4({ source: "224.0.0.1", destination: "10.0.0.100" }, 6, segment)),
  ],
  ["bytes that are no packet", ethernet(link, 0x0800, zeros(3))],
] as const) {
  test(`B11: nobody is told of ${what}`, () => assert.equal(tooBig(frame, 1480), undefined));
}

test("B11: an echo request that is too big is told", () => {
  const ping = ethernet(link, 0x0800, ipv4(four, 1, icmp(8, 0, zeros(1460))));
  assert.notEqual(tooBig(ping, 1480), undefined);
});

/** Of an IPv4 packet's source in the frame. */
const SOURCE_AT = 26;

test("B11: no more than so many a second are told, and each is counted", () => {
  const answers = new TooBig();
  const now = instant(1000);
  for (let count = 0; count < ANSWERS_PER_SECOND + 7; count++) {
    const frame = FOUR.slice();
    frame.set([192, 0, 2 + (count >> 8), count & 0xff], SOURCE_AT);
    answers.answer(now, frame, 1480);
  }
  answers.answer(now, zeros(20), 1480);
  assert.deepEqual(answers.counts, {
    tooBigTold: ANSWERS_PER_SECOND,
    tooBigUntold: 1,
    tooBigLimited: 7,
  });
});

test("B11: one source does not use up the answers of all others", () => {
  const answers = new TooBig();
  const now = instant(1000);
  for (let count = 0; count < ANSWERS_PER_SECOND; count++) answers.answer(now, FOUR, 1480);
  const other = FOUR.slice();
  other[SOURCE_AT] = 198;
  assert.notEqual(answers.answer(now, other, 1480), undefined);
  assert.deepEqual(answers.counts, {
    tooBigTold: ANSWERS_PER_SOURCE + 1,
    tooBigUntold: 0,
    tooBigLimited: ANSWERS_PER_SECOND - ANSWERS_PER_SOURCE,
  });
});
