// Whole clusters from fixed seeds, with every checker: what continuous integration looks at each time. `npm run sim` runs more.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInOrder } from "./lanes.ts";
import { addTo, failureText, noTotals } from "./report.ts";
import { type RunSettings, Simulation, type RunResult } from "./simulation.ts";

function mustBeFine(settings: RunSettings, { failure }: RunResult): void {
  const { seed, nodes, minutes, spread = false } = settings;
  const replay = `npm run sim -- ${spread ? "--spread " : ""}--seed ${seed} --nodes ${nodes} --minutes ${minutes}`;
  assert.equal(failure, undefined, failure && failureText(seed, replay, failure));
}

function run(seed: number, nodes: number, minutes: number): RunResult {
  const settings = { seed, nodes, minutes };
  const result = new Simulation(settings).run();
  mustBeFine(settings, result);
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
const SEEDS = 300;
const SPREAD_SEEDS = 20;
const WORKERS = 2;

const settingsOf = (seed: number): RunSettings => ({ seed, nodes: 3 + (seed % 3), minutes: 1 });

test("A5, A9, A12, A17, B4, B9: clusters of three, four and five under faults, from many seeds, without a violation", async () => {
  const totals = noTotals();
  let given = 0;
  await runInOrder({
    workers: WORKERS,
    next: () => (given < SEEDS ? settingsOf(FIRST_SEED + given++) : undefined),
    done: (settings, result) => {
      mustBeFine(settings, result);
      addTo(totals, result);
    },
  });
  assert.equal(totals.seeds, SEEDS);
  for (const what of [
    "failovers",
    "connections",
    "sessions",
    "segments",
    "ownershipChecks",
    "floodedLooks",
    "hostileDatagrams",
  ]) {
    assert.ok((totals.counts[what] ?? 0) > 0, `${what} were looked at`);
  }
});

test("sim: a node alone is a cluster", () => {
  run(3, 1, 1);
});

test("B10: with VIPs on several interface nodes, moved by operators and faults, never two answer for one", async () => {
  const totals = noTotals();
  let given = 0;
  await runInOrder({
    workers: WORKERS,
    next: () =>
      given < SPREAD_SEEDS ? { ...settingsOf(FIRST_SEED + given++), spread: true } : undefined,
    done: (settings, result) => {
      mustBeFine(settings, result);
      addTo(totals, result);
    },
  });
  assert.equal(totals.seeds, SPREAD_SEEDS);
});
