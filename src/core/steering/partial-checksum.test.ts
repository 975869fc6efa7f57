// A15: what was held leaves with a whole checksum.
import assert from "node:assert/strict";
import { test } from "node:test";
import { completeChecksum } from "./partial-checksum.ts";
import { ethernet, ipv4, ipv6, SYN, tcp, udp } from "./testing/frames.ts";

const link = { to: "02:50:00:00:00:01", from: "02:aa:00:00:00:fe" };
const v4 = { source: "192.0.2.7", destination: "10.0.0.100" };
const v6 = { source: "2001:db8::7", destination: "2001:db8::100" };
const hello = new TextEncoder().encode("hello");

const framed = (family: 4 | 6, protocol: number, segment: Uint8Array): Uint8Array =>
  family === 4
    ? ethernet(link, 0x0800, ipv4(v4, protocol, segment))
    : ethernet(link, 0x86dd, ipv6(v6, protocol, segment));

/** Where the segment begins. */
const start = (family: 4 | 6): number => (family === 4 ? 34 : 54);

/** Ones' complement sum of the words of the pseudo-header, written out (RFC 768, RFC 8200 section 8.1). */
function pseudoHeader(family: 4 | 6, protocol: number, length: number): number[] {
  return family === 4
    ? [0xc000, 0x0207, 0x0a00, 0x0064, protocol, length]
    : [0x2001, 0x0db8, 0, 0, 0, 0, 0, 7, 0x2001, 0x0db8, 0, 0, 0, 0, 0, 0x100, length, protocol];
}

function folded(words: readonly number[]): number {
  let sum = words.reduce((total, word) => total + word, 0);
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return sum;
}

const words = (bytes: Uint8Array): number[] =>
  Array.from(
    { length: Math.ceil(bytes.length / 2) },
    (_, index) => ((bytes[2 * index] ?? 0) << 8) | (bytes[2 * index + 1] ?? 0),
  );

for (const family of [4, 6] as const) {
  for (const [name, protocol, at, segment] of [
    ["TCP", 6, 16, tcp({ from: 40_000, to: 80 }, SYN, hello)],
    ["UDP", 17, 6, udp({ from: 40_000, to: 53 }, hello)],
  ] as const) {
    const frame = (): Uint8Array => framed(family, protocol, segment);
    const place = start(family) + at;
    const pseudo = pseudoHeader(family, protocol, segment.length);

    test(`A15: a partial checksum is completed: ${name} over IPv${family}`, () => {
      const held = frame();
      new DataView(held.buffer).setUint16(place, folded(pseudo));
      completeChecksum(held);
      const sent = held.subarray(start(family), start(family) + segment.length);
      assert.equal(folded([...pseudo, ...words(sent)]), 0xffff, "the receiver's sum");
    });

    test(`A15: any other checksum is left alone: ${name} over IPv${family}`, () => {
      const held = frame();
      new DataView(held.buffer).setUint16(place, folded(pseudo) ^ 1);
      const before = held.slice();
      completeChecksum(held);
      assert.deepEqual(held, before);
    });
  }
}

test("A15: what is no packet with a checksum is left alone", () => {
  for (const held of [new Uint8Array(10), framed(4, 50, hello), framed(4, 17, hello)]) {
    const before = held.slice();
    completeChecksum(held);
    assert.deepEqual(held, before);
  }
});
