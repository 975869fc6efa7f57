// The memory of fragments is bounded and forgets what was used longest ago.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { FragmentMemory, type Decision } from "./fragments.ts";

const to = (node: number): Decision => ({
  reason: "forward-owner",
  node: nodeId(node),
  hop: 1,
  asked: 0,
});

test("A14: the decision used longest ago makes room, and is counted", () => {
  const memory = new FragmentMemory(2);
  memory.remember("a", to(1));
  memory.remember("b", to(2));
  assert.deepEqual(memory.recall("a"), to(1));
  memory.remember("c", to(3));
  assert.equal(memory.recall("b"), undefined);
  assert.deepEqual(memory.recall("a"), to(1));
  assert.deepEqual(memory.recall("c"), to(3));
  assert.equal(memory.size, 2);
  assert.equal(memory.evicted, 1);
});

test("A14: a datagram that reuses an identification replaces the earlier decision", () => {
  const memory = new FragmentMemory(2);
  memory.remember("a", to(1));
  memory.remember("a", to(2));
  assert.deepEqual(memory.recall("a"), to(2));
  assert.equal(memory.size, 1);
  assert.equal(memory.evicted, 0);
});
