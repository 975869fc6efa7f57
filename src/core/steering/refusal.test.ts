// What a client gets from a group that nobody serves: by the RFCs, checksums included, and never too much of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { wordSum } from "#wire/testing/word-sum.ts";
import { ANSWERS_PER_SECOND } from "./answers.ts";
import { refusalOf, Refusals } from "./refusal.ts";
import {
  ACK,
  ethernet,
  FIN,
  ipv4,
  ipv6,
  join,
  RST,
  SYN,
  tcp,
  udp,
  zeros,
} from "./testing/frames.ts";

const link = { to: "02:00:00:00:00:01", from: "02:00:00:00:00:99" };
const four = { source: "10.0.0.7", destination: "10.0.0.100" };
const six = { source: "fd00::7", destination: "fd00::100" };
const ports = { from: 40_000, to: 80 };
const over4 = (protocol: number, payload: Uint8Array): Uint8Array =>
  ethernet(link, 0x0800, ipv4(four, protocol, payload));
const over6 = (protocol: number, payload: Uint8Array): Uint8Array =>
  ethernet(link, 0x86dd, ipv6(six, protocol, payload));
const view = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** The pseudo-headers of RFC 9293 and RFC 8200, in the form in which both have the same sum. */
const pseudo = (addresses: Uint8Array, protocol: number, length: number): Uint8Array =>
  join(addresses, Uint8Array.of(0, 0, length >>> 8, length, 0, 0, 0, protocol));

/** Checks addresses, lengths and checksums; answers the payload. */
function payloadOf(packet: Uint8Array, protocol: number): Uint8Array {
  if (packet[0] === 0x45) {
    assert.equal(view(packet).getUint16(2), packet.byteLength);
    assert.equal(wordSum(packet.subarray(0, 20)), 0xffff, "header checksum");
    assert.deepEqual([...packet.subarray(12, 20)], [10, 0, 0, 100, 10, 0, 0, 7]);
    assert.equal(packet[9], protocol);
    const payload = packet.subarray(20);
    const head =
      protocol === 1 ? zeros(0) : pseudo(packet.subarray(12, 20), protocol, payload.byteLength);
    assert.equal(wordSum(head, payload), 0xffff, "checksum");
    return payload;
  }
  assert.equal(packet[0], 0x60);
  assert.equal(view(packet).getUint16(4), packet.byteLength - 40);
  assert.equal(packet[6], protocol);
  assert.deepEqual([packet[8], packet[23], packet[39]], [0xfd, 0, 7]);
  const payload = packet.subarray(40);
  assert.equal(
    wordSum(pseudo(packet.subarray(8, 40), protocol, payload.byteLength), payload),
    0xffff,
  );
  return payload;
}

test("B7: a SYN is reset: its sequence number and one acknowledged, by IPv4 and IPv6", () => {
  for (const frame of [over4(6, tcp(ports, SYN)), over6(6, tcp(ports, SYN))]) {
    const answer = refusalOf(frame);
    assert.ok(answer);
    assert.equal(answer.kind, "reset");
    assert.equal(answer.destination.at(-1), 7);
    const segment = view(payloadOf(answer.packet, 6));
    assert.deepEqual([segment.getUint16(0), segment.getUint16(2)], [80, 40_000]);
    assert.deepEqual([segment.getUint32(4), segment.getUint32(8)], [0, 0x01020305]);
    assert.equal(segment.getUint8(13), RST | ACK);
  }
});

test("B7: a segment of an unknown connection is reset at the number that it acknowledges; a reset never", () => {
  const segment = view(
    payloadOf(refusalOf(over4(6, tcp(ports, ACK, zeros(10))))?.packet ?? zeros(0), 6),
  );
  assert.deepEqual([segment.getUint32(4), segment.getUint32(8)], [0x0a0b0c0d, 0]);
  assert.equal(segment.getUint8(13), RST);
  const fin = view(
    payloadOf(refusalOf(over4(6, tcp(ports, FIN, zeros(10))))?.packet ?? zeros(0), 6),
  );
  assert.equal(fin.getUint32(8), 0x01020304 + 11, "ten bytes and FIN");
  assert.equal(refusalOf(over4(6, tcp(ports, RST))), undefined);
  assert.equal(refusalOf(over4(6, tcp(ports, RST | ACK))), undefined);
});

test("B7: a datagram is answered with port unreachable, and the packet quoted as far as there is room", () => {
  const short = udp(ports, Uint8Array.of(1, 2, 3));
  const message = payloadOf(refusalOf(over4(17, short))?.packet ?? zeros(0), 1);
  assert.deepEqual([...message.subarray(0, 2)], [3, 3]);
  assert.deepEqual(message.subarray(8), ipv4(four, 17, short));
  const message6 = payloadOf(refusalOf(over6(17, short))?.packet ?? zeros(0), 58);
  assert.deepEqual([...message6.subarray(0, 2)], [1, 4]);
  assert.deepEqual(message6.subarray(8), ipv6(six, 17, short));
  const long = udp(ports, zeros(1400));
  assert.equal(refusalOf(over4(17, long))?.packet.byteLength, 576);
  assert.equal(refusalOf(over6(17, long))?.packet.byteLength, 1280);
});

test("B7: padding of a short frame is not quoted", () => {
  const frame = join(over4(17, udp(ports)), zeros(18));
  assert.equal(refusalOf(frame)?.packet.byteLength, 20 + 8 + 28);
});

test("B7: nothing is answered to what may not be answered: multicast, no single host, later fragments, other protocols", () => {
  const from = (source: string): Uint8Array =>
    ethernet(link, 0x0800, ipv4({ ...four, source }, 17, udp(ports)));
  const silent: readonly Uint8Array[] = [
    from("0.0.0.0"),
    from("224.0.0.1"),
    from("255.255.255.255"),
    ethernet(link, 0x0800, ipv4({ ...four, destination: "224.0.0.9" }, 17, udp(ports))),
    ethernet(link, 0x0800, ipv4(four, 17, udp(ports), { offset: 8 })),
    over4(50, zeros(40)),
    over4(1, Uint8Array.of(8, 0, 0, 0, 0, 0, 0, 0)),
    zeros(60),
    zeros(3),
  ];
  for (const frame of silent) assert.equal(refusalOf(frame), undefined);
});

test("B7: answers are limited, and every packet is counted by what became of it", () => {
  const refusals = new Refusals();
  const frame = over4(6, tcp(ports, SYN));
  const ask = (nowMs: number, count: number): number =>
    Array.from({ length: count }, () => refusals.answer(instant(nowMs), "reset", frame)).filter(
      Boolean,
    ).length;
  assert.equal(ask(0, ANSWERS_PER_SECOND + 50), ANSWERS_PER_SECOND);
  assert.equal(ask(10, 50), ANSWERS_PER_SECOND / 100);
  assert.equal(refusals.answer(instant(5000), "drop", frame), undefined);
  refusals.answer(instant(5000), "reset", over4(17, udp(ports)));
  assert.deepEqual(refusals.counts, { reset: 1010, unreachable: 1, unanswered: 1, limited: 90 });
});
