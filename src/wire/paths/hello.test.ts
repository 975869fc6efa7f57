// Hellos on private paths, byte by byte.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { decodeHello, encodeHello, type Hello } from "./hello.ts";

const HELLO: Hello = {
  path: 2,
  keyId: 7,
  node: nodeId(258),
  boot: 0x0102030405060708n,
  counter: 9n,
  heard: [nodeId(1), nodeId(3), nodeId(17)],
};

const BYTES = Uint8Array.from([
  ...[0x50, 0x4e, 0x48, 1], // PNH, version 1
  ...[2, 7], // path, key
  ...[0x02, 0x01], // node 258
  ...[8, 7, 6, 5, 4, 3, 2, 1], // boot
  ...[9, 0, 0, 0, 0, 0, 0, 0], // counter
  ...[3, 0], // three bytes follow
  ...[0b0000_1010, 0, 0b0000_0010], // nodes 1, 3, 17
  ...Array.from({ length: 16 }, () => 0), // room for the tag
]);

test("B11: a hello has the documented bytes", () => {
  assert.deepEqual(encodeHello(HELLO), BYTES);
  assert.deepEqual(decodeHello(BYTES), { ok: true, value: HELLO, length: BYTES.length });
});

test("B11: a hello that has heard nobody, and one in a padded frame", () => {
  const alone = { ...HELLO, heard: [] };
  const padded = new Uint8Array(60);
  padded.set(encodeHello(alone));
  assert.deepEqual(decodeHello(padded), { ok: true, value: alone, length: 42 });
});

const changed = (at: number, value: number): Uint8Array => {
  const bytes = BYTES.slice();
  bytes[at] = value;
  return bytes;
};

for (const [what, bytes, reason] of [
  ["nothing", new Uint8Array(), "incomplete"],
  ["one byte less than its length says", BYTES.subarray(0, BYTES.length - 1), "incomplete"],
  ["something else", changed(0, 0), "malformed"],
  ["a later version", changed(3, 2), "unsupported"],
  ["path 0", changed(4, 0), "malformed"],
  ["a node above 4095", changed(7, 0x10), "malformed"],
  ["a longer list than there are nodes", changed(25, 0x03), "malformed"],
  ["node 0 heard", changed(26, 0b0000_1011), "malformed"],
  ["an empty byte at the end of the list", changed(28, 0), "malformed"],
] as const) {
  test(`B11: a hello is refused: ${what}`, () => {
    assert.deepEqual(decodeHello(bytes), { ok: false, reason });
  });
}
