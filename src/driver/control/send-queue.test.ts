// B9: of several tables that wait for a slow member only the newest is worth sending.
import assert from "node:assert/strict";
import { test } from "node:test";
import { SendQueue } from "./send-queue.ts";

const frame = (mark: number, length = 4): Uint8Array => new Uint8Array(length).fill(mark);

test("B9: newer tables take the place of older ones, at the end; everything else stays in order", () => {
  const queue = new SendQueue();
  assert.equal(queue.push("config", frame(1)), false);
  assert.equal(queue.push("tables", frame(2, 100)), false);
  assert.equal(queue.push("group-key", frame(3)), false);
  assert.equal(queue.push("tables", frame(4, 50)), true);
  assert.deepEqual([queue.length, queue.bytes], [3, 58]);
  const order = [queue.shift(), queue.shift(), queue.shift()].map((entry) => entry?.[0]);
  assert.deepEqual(order, [1, 3, 4]);
  assert.deepEqual([queue.shift(), queue.length, queue.bytes], [undefined, 0, 0]);
});

test("B9: tables that have left the queue are not replaced", () => {
  const queue = new SendQueue();
  queue.push("tables", frame(1));
  queue.shift();
  assert.equal(queue.push("tables", frame(2)), false);
  queue.clear();
  assert.deepEqual([queue.length, queue.bytes], [0, 0]);
});
