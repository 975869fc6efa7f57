// The simulator can find bugs: each of those that we have made up is caught within a bounded number of seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Worker } from "node:worker_threads";
import { MUTATIONS, type Mutation } from "./list.ts";
import type { MutantOrder, MutantOutcome } from "./worker.ts";

const MOST_SEEDS = 4;
const MINUTES = 1;

function hunted(mutation: Mutation): Promise<MutantOutcome> {
  const seeds = Array.from({ length: MOST_SEEDS }, (_, index) => mutation.seed + index);
  const order: MutantOrder = { mutation, seeds, minutes: mutation.minutes ?? MINUTES };
  const worker = new Worker(new URL("./worker.ts", import.meta.url), { workerData: order });
  return new Promise((resolve, reject) => {
    worker.once("message", resolve);
    worker.once("error", reject);
  });
}

test("mutations: there are at least fifteen", () => {
  assert.ok(MUTATIONS.length >= 15);
  assert.equal(new Set(MUTATIONS.map(({ name }) => name)).size, MUTATIONS.length);
});

for (const mutation of MUTATIONS) {
  test(`mutations: it is noticed when ${mutation.name}`, async () => {
    const outcome = await hunted(mutation);
    assert.ok(outcome.found, outcome.found ? "" : outcome.why);
  });
}
