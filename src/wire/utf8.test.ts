// The platform's encoder is the oracle: the pure one must agree with it on everything, also on what is refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { clipToLine, decodeUtf8, encodeUtf8 } from "./utf8.ts";

const strict = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });

function oracle(bytes: Uint8Array): string | undefined {
  try {
    return strict.decode(bytes);
  } catch {
    return undefined;
  }
}

test("utf8: text becomes the same bytes as the platform's, and comes back", () => {
  fc.assert(
    fc.property(fc.string({ unit: "binary", maxLength: 200 }), (text) => {
      const bytes = encodeUtf8(text);
      assert.deepEqual(bytes, new TextEncoder().encode(text));
      assert.equal(decodeUtf8(bytes), text);
    }),
    { numRuns: 2000 },
  );
});

test("utf8: a lone surrogate becomes U+FFFD", () => {
  assert.deepEqual(encodeUtf8("a\ud800b"), Uint8Array.of(0x61, 0xef, 0xbf, 0xbd, 0x62));
  assert.deepEqual(encodeUtf8("\udc00"), Uint8Array.of(0xef, 0xbf, 0xbd));
});

test("utf8: arbitrary bytes are refused or read as the platform does", () => {
  const lead = fc.constantFrom(0x41, 0x80, 0xbf, 0xc0, 0xc2, 0xe0, 0xed, 0xef, 0xf0, 0xf4, 0xf5);
  const byte = fc.oneof(lead, fc.integer({ min: 0, max: 255 }));
  fc.assert(
    fc.property(fc.array(byte, { maxLength: 12 }), (list) => {
      const bytes = Uint8Array.from(list);
      assert.equal(decodeUtf8(bytes), oracle(bytes));
    }),
    { numRuns: 5000 },
  );
});

test("utf8: texts longer than one piece come back whole", () => {
  const text = "ä€😀x".repeat(20_000);
  assert.equal(decodeUtf8(encodeUtf8(text)), text);
});

test("utf8: a line is clipped between two characters, and has no control characters", () => {
  assert.equal(clipToLine("  ein\nWort\u001b[0m\u0085 ", 200), "ein Wort [0m");
  assert.equal(clipToLine("a€€", 6), "a€");
  assert.equal(clipToLine("😀😀", 7), "😀");
  assert.equal(encodeUtf8(clipToLine(`x\ud800${"y".repeat(9)}`, 6)).byteLength, 6);
});
