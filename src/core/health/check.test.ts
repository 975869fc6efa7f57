// One check as a table: what it makes of a series of results, and when it runs again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { Check, GRACE_MS } from "./check.ts";

const timing = { intervalMs: 1000, timeoutMs: 500, rise: 2, fall: 3 };

/** "+": passed, "-": failed. One run every second; answers the state after each, by its first letter. */
function states(results: string): string {
  const check = new Check(timing, instant(0));
  return results
    .split("")
    .map((result, index) => {
      const run = check.start(instant(index * 1000));
      check.finished(instant(index * 1000 + 5), run, { ok: result === "+", reason: result });
      return check.state.slice(0, 1);
    })
    .join("");
}

test("B7: rise and fall: so many results in a row change the state, one that differs starts the count again", () => {
  const table: readonly (readonly [results: string, states: string])[] = [
    ["+", "p"],
    ["---", "uuf"],
    ["--+", "uup"],
    ["+---", "pppf"],
    ["+--+--", "pppppp"],
    ["+---+", "pppff"],
    ["+---++", "pppffp"],
    ["+---+-+-++", "pppffffffp"],
    ["----", "uuff"],
  ];
  for (const [results, expected] of table) assert.equal(states(results), expected, results);
});

test("B7: the next run starts an interval after the last one did, or at once when that took longer", () => {
  const check = new Check(timing, instant(40));
  assert.equal(check.deadline, 40);
  const first = check.start(instant(40));
  assert.ok(check.isRunning);
  assert.equal(check.deadline, 40 + 500 + GRACE_MS, "until then the run is waited for");
  check.finished(instant(300), first, { ok: true, reason: "" });
  assert.equal(check.deadline, 1040);
  const second = check.start(instant(1040));
  check.finished(instant(2900), second, { ok: true, reason: "" });
  assert.equal(check.deadline, 2900);
});

test("B7: a result of another run than the one under way changes nothing", () => {
  const check = new Check({ ...timing, fall: 1 }, instant(0));
  const run = check.start(instant(0));
  assert.equal(check.finished(instant(1), run + 1, { ok: false, reason: "" }), false);
  assert.equal(check.state, "unknown");
  assert.equal(check.finished(instant(2), run, { ok: true, reason: "" }), true);
  assert.equal(check.finished(instant(3), run, { ok: false, reason: "" }), false);
  assert.equal(check.state, "passes");
});

test("B7: a run of which nothing is heard has failed, and the next one follows", () => {
  const check = new Check({ ...timing, fall: 1 }, instant(0));
  check.start(instant(0));
  check.giveUp(instant(2500));
  assert.deepEqual([check.state, check.isRunning], ["fails", false]);
  assert.match(check.failure, /never came to an end/);
  assert.equal(check.deadline, 2500);
});

test("B7: what failed last is remembered while the check begins to pass again", () => {
  const check = new Check({ ...timing, fall: 1 }, instant(0));
  check.finished(instant(1), check.start(instant(0)), { ok: false, reason: "status 503" });
  check.finished(instant(1001), check.start(instant(1000)), { ok: true, reason: "status 200" });
  assert.deepEqual(
    [check.state, check.reason, check.failure],
    ["fails", "status 200", "status 503"],
  );
});
