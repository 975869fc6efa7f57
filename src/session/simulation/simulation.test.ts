// A16, A8 on virtual time: whatever happens to members, no byte of a connection is missing, doubled or in the wrong place in either
// direction, none is reset, and no two members speak for one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { run } from "./run.ts";

const SEEDS = 24;
const FAULTS = 5;

for (let first = 1; first <= SEEDS; first += 8) {
  test(`A16: takeovers and hand-overs lose, double and reorder nothing, seeds ${first} to ${first + 7}`, async () => {
    for (let seed = first; seed < first + 8; seed++) {
      const { problem, nowMs } = await run(seed, FAULTS);
      assert.equal(problem, undefined, `seed ${seed} at ${nowMs.toFixed(0)} ms`);
    }
  });
}
