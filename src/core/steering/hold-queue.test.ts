// A15: nothing is held without a bound, and every bound is counted when it bites.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { HoldQueue } from "./hold-queue.ts";

const frame = (length: number, fill = 0): Uint8Array => new Uint8Array(length).fill(fill);
const LIMITS = { frames: 3, bytes: 1000, ageMs: 100 };

test("A15: frames are released by key, in the order in which they came, each once", () => {
  const queue = new HoldQueue(LIMITS);
  queue.hold(instant(0), "a", frame(10, 1));
  queue.hold(instant(1), "b", frame(10, 2));
  queue.hold(instant(2), "a", frame(10, 3));
  const taken = queue.release(instant(3), ({ key }) => key === "a");
  assert.deepEqual(
    taken.map((held) => held.frame[0]),
    [1, 3],
  );
  assert.deepEqual([...queue.keys], ["b"]);
  assert.deepEqual(
    queue.release(instant(4), ({ key }) => key === "a"),
    [],
  );
  assert.deepEqual(queue.counts, { held: 3, released: 2, refused: 0, expired: 0 });
  assert.equal(queue.bytes, 10);
});

test("A15: no more frames are held than the limit says", () => {
  const queue = new HoldQueue(LIMITS);
  const taken = [1, 2, 3, 4].map(() => queue.hold(instant(0), "a", frame(10)));
  assert.deepEqual(taken, [true, true, true, false]);
  assert.equal(queue.counts.refused, 1);
  assert.equal(queue.frames, 3);
});

test("A15: no more bytes are held than the limit says; a smaller frame still fits", () => {
  const queue = new HoldQueue(LIMITS);
  assert.ok(queue.hold(instant(0), "a", frame(900)));
  assert.ok(!queue.hold(instant(0), "a", frame(101)));
  assert.ok(queue.hold(instant(0), "a", frame(100)));
  assert.equal(queue.bytes, 1000);
});

test("A15: what is not decided in time is dropped, and makes room", () => {
  const queue = new HoldQueue(LIMITS);
  for (const at of [0, 10, 20]) queue.hold(instant(at), "a", frame(10));
  assert.equal(queue.deadline, 100);
  assert.ok(queue.hold(instant(115), "b", frame(10)));
  assert.deepEqual(queue.counts, { held: 4, released: 0, refused: 0, expired: 2 });
  assert.equal(queue.deadline, 120);
  const taken = queue.release(instant(215), () => true);
  assert.deepEqual(taken, []);
  assert.equal(queue.counts.expired, 4);
  assert.equal(queue.bytes, 0);
  assert.equal(queue.deadline, undefined);
});
