// Clocks of nodes.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { NodeClock } from "./clock.ts";

test("sim: a clock that runs fast is ahead, and a deadline by it comes early", () => {
  const fast = new NodeClock(5000, 1.01);
  assert.equal(fast.at(0), 5000);
  assert.ok(Math.abs(fast.at(1000) - 6010) < 1e-6);
  const due = fast.whenPast(instant(6010));
  assert.ok(due > 1000 && due < 1000.01);
  assert.ok(fast.at(due) >= 6010, "never before the deadline");
});
