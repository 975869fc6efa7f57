// A2: replayed messages are refused.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { ReplayGuard } from "./replay-guard.ts";

const sender = nodeId(1);

function admitted(steps: readonly (readonly [boot: bigint, counter: number])[]): boolean[] {
  const guard = new ReplayGuard();
  return steps.map(([boot, counter]) => guard.admit(sender, boot, counter));
}

test("A2: each counter is taken once, also when neighbours overtake each other", () => {
  const steps = [5, 6, 6, 8, 7, 7, 5, 40, 8, 9, 39].map((counter) => [1n, counter] as const);
  const expected = [true, true, false, true, true, false, false, true, false, true, true];
  assert.deepEqual(admitted(steps), expected);
});

test("A2: counters further back than the window are refused", () => {
  assert.deepEqual(
    admitted([
      [1n, 100],
      [1n, 69],
      [1n, 68],
      [1n, 200],
      [1n, 100],
    ]),
    [true, true, false, true, false],
  );
});

test("A2: an earlier start is refused; the two latest are told apart", () => {
  assert.deepEqual(
    admitted([
      [5n, 10],
      [4n, 99],
      [6n, 1],
      [5n, 11],
      [5n, 11],
      [7n, 1],
      [5n, 12],
      [6n, 2],
    ]),
    [true, false, true, true, false, true, false, true],
  );
});

test("A2: senders do not disturb each other", () => {
  const guard = new ReplayGuard();
  assert.ok(guard.admit(nodeId(1), 1n, 9));
  assert.ok(guard.admit(nodeId(2), 1n, 9));
});
