// Keys of bytes: equal content is one key, whatever array it is in and however its hash collides.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BytesMap, equalBytes } from "./bytes-map.ts";

test("base: equal bytes are one key, also in the middle of another array", () => {
  const map = new BytesMap<string>();
  map.set(Uint8Array.of(10, 0, 0, 1), "one");
  map.set(Uint8Array.of(10, 0, 0, 2), "two");
  map.set(Uint8Array.of(10, 0, 0, 1), "one again");
  const frame = Uint8Array.of(9, 9, 10, 0, 0, 1, 9);
  assert.equal(map.get(frame.subarray(2, 6)), "one again");
  assert.equal(map.get(frame.subarray(1, 5)), undefined);
  assert.ok(map.has(Uint8Array.of(10, 0, 0, 2)));
});

test("base: keys of one hash, and keys of other lengths, are kept apart", () => {
  const map = new BytesMap<number>();
  // 31 · 1 + 0 = 31 · 0 + 31
  map.set(Uint8Array.of(1, 0), 1);
  map.set(Uint8Array.of(0, 31), 2);
  map.set(Uint8Array.of(), 3);
  assert.equal(map.get(Uint8Array.of(1, 0)), 1);
  assert.equal(map.get(Uint8Array.of(0, 31)), 2);
  assert.equal(map.get(new Uint8Array()), 3);
  assert.equal(map.get(Uint8Array.of(0)), undefined);
});

test("base: bytes are compared by content", () => {
  assert.ok(equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 3)));
  assert.ok(!equalBytes(Uint8Array.of(1, 2), Uint8Array.of(1, 2, 0)));
});
