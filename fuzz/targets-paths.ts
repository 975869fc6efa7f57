// Hellos on private paths: whoever is on the segment can send any frame.
import assert from "node:assert/strict";
import { nodeId } from "#base/ids.ts";
import { decodeHello, encodeHello, type Hello } from "#wire/paths/hello.ts";
import type { Target } from "./target.ts";

const HELLO = { path: 1, keyId: 3, node: nodeId(2), boot: 5n, counter: 6n } as const;
const SEEDS: readonly Hello[] = [
  { ...HELLO, heard: [] },
  { ...HELLO, path: 7, heard: [nodeId(1), nodeId(9)] },
  { ...HELLO, heard: [nodeId(4095)] },
];

const hello: Target = {
  name: "hello",
  seeds: SEEDS.map(encodeHello),
  run: (bytes) => {
    const decoded = decodeHello(bytes);
    if (!decoded.ok) return decoded.reason;
    const { value, length } = decoded;
    const again = encodeHello(value);
    const untagged = length - 16;
    assert.deepEqual(again.subarray(0, untagged), bytes.subarray(0, untagged), "one encoding");
    assert.equal(again.length, length);
    return `ok ${Math.min(value.heard.length, 3)}`;
  },
};

export const PATH_TARGETS: readonly Target[] = [hello];
