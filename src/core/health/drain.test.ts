// When the connections of a node that is drained are closed.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { CLOSE_AGAIN_MS, Drain } from "./drain.ts";

const at = (drain: Drain, ms: number): number =>
  drain.step(instant(ms), { type: "deadline-reached" }).length;

test("B7: a drain's deadline begins when the node hears of it, and is not begun anew by other changes", () => {
  const drain = new Drain();
  drain.step(instant(100), { type: "configured", deadlineMs: 5000 });
  drain.step(instant(3000), { type: "configured", deadlineMs: 5000 });
  assert.equal(drain.deadline, 5100);
  assert.equal(at(drain, 5099), 0);
  assert.equal(at(drain, 5100), 1);
  assert.equal(at(drain, 5101), 0, "once, until it is known what that did");
});

test("B7: connections are closed until there are none, and counted", () => {
  const drain = new Drain();
  drain.step(instant(0), { type: "configured", deadlineMs: 10 });
  assert.equal(at(drain, 10), 1);
  drain.step(instant(10), { type: "closed", count: 7 });
  assert.equal(drain.deadline, 10 + CLOSE_AGAIN_MS);
  assert.equal(at(drain, 10 + CLOSE_AGAIN_MS), 1);
  drain.step(instant(2000), { type: "closed", count: 0 });
  assert.deepEqual([drain.deadline, drain.closed], [undefined, 7]);
});

test("B7: undrained in time, nothing is closed; drained again, the time begins anew", () => {
  const drain = new Drain();
  drain.step(instant(0), { type: "configured", deadlineMs: 1000 });
  drain.step(instant(500), { type: "configured", deadlineMs: undefined });
  assert.deepEqual([at(drain, 2000), drain.endsAt], [0, undefined]);
  drain.step(instant(2000), { type: "configured", deadlineMs: 1000 });
  assert.equal(drain.deadline, 3000);
  drain.step(instant(2500), { type: "configured", deadlineMs: undefined });
  drain.step(instant(2600), { type: "closed", count: 3 });
  assert.equal(drain.deadline, undefined, "the answer to an earlier order starts nothing");
});
