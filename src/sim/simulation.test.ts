// Whole clusters from fixed seeds, with every checker: what continuous integration looks at each time. `npm run sim` runs more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Simulation, type RunResult } from "./simulation.ts";
import { failureText } from "./report.ts";

function run(seed: number, nodes: number, minutes: number): RunResult {
  const result = new Simulation({ seed, nodes, minutes }).run();
  const { failure } = result;
  const replay = `npm run sim -- --seed ${seed} --nodes ${nodes} --minutes ${minutes}`;
  assert.equal(failure, undefined, failure && failureText(seed, replay, failure));
  return result;
}

test("sim: the same seed gives the same run, event by event, and another seed another", () => {
  const [first, again, other] = [run(7, 4, 1), run(7, 4, 1), run(8, 4, 1)];
  assert.equal(first.digest, again.digest);
  assert.deepEqual(first.counts, again.counts);
  assert.equal(first.events, again.events);
  assert.notEqual(first.digest, other.digest);
});

test("A5, A9, A12, A17, B4, B9: clusters of three, four and five under faults, from many seeds, without a violation", () => {
  const counts: Record<string, number> = {};
  for (let seed = 100; seed < 130; seed++) {
    const result = run(seed, 3 + (seed % 3), 1);
    for (const [name, count] of Object.entries(result.counts)) {
      counts[name] = (counts[name] ?? 0) + count;
    }
  }
  for (const what of [
    "failovers",
    "connections",
    "segments",
    "ownershipChecks",
    "hostileDatagrams",
  ]) {
    assert.ok((counts[what] ?? 0) > 0, `${what} were looked at`);
  }
});

test("sim: a node alone is a cluster", () => {
  run(3, 1, 1);
});
