// A18: what is practised for the master's death takes no time that anybody would miss.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Rehearsal } from "./rehearsal.ts";

/** When it was rehearsed within so many seconds, asked every second, where one rehearsal takes `costMs`. */
function rehearsed(seconds: number, costMs: number): number[] {
  const at: number[] = [];
  let nowMs = 0;
  const act = (): void => {
    at.push(nowMs);
    nowMs += costMs;
  };
  const rehearsal = new Rehearsal(act, () => nowMs);
  for (let second = 0; second < seconds; second++) {
    nowMs = Math.max(nowMs, second * 1000);
    rehearsal.perhaps();
  }
  return at;
}

test("A18: what takes little is rehearsed every second at first, then once in a thousand times its duration", () => {
  const at = rehearsed(3600, 10);
  assert.deepEqual(
    at.slice(0, 20),
    Array.from({ length: 20 }, (_, second) => second * 1000),
  );
  assert.deepEqual(at.slice(20, 23), [29_000, 39_000, 49_000]);
});

test("A18: what takes long is rehearsed seldom from the beginning", () => {
  const at = rehearsed(3600, 500);
  assert.deepEqual(at.slice(0, 3), [0, 10_000, 20_000]);
  assert.ok(at.length < 30, `${at.length} times in an hour`);
});
