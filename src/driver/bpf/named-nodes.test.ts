// A14: which bit of a group's words is which node's.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { NAMED_WORDS, NODES } from "./abi.gen.ts";
import { wordsOf } from "./named-nodes.ts";

test("A14: each node has a bit, as the packet program counts them", () => {
  assert.equal(NAMED_WORDS * 64, NODES);
  const words = wordsOf([1, 63, 64, 4095].map(nodeId));
  assert.equal(words[0], (1n << 63n) | 2n);
  assert.equal(words[1], 1n);
  assert.equal(words[63], 1n << 63n);
  assert.ok(words.subarray(2, 63).every((word) => word === 0n));
});
