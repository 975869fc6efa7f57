// Runs in several threads: told in the order in which they were handed out, the same as in one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { runInOrder } from "./lanes.ts";
import type { RunSettings } from "./simulation.ts";

/** Seed 1 is a longer run than the others, so these end first. */
const settingsOf = (seed: number): RunSettings => ({ seed, nodes: 1, minutes: seed === 1 ? 3 : 1 });

async function digests(workers: number, runs: number): Promise<[number, string][]> {
  const told: [number, string][] = [];
  let seed = 0;
  await runInOrder({
    workers,
    next: () => (seed < runs ? settingsOf(++seed) : undefined),
    done: ({ seed: of }, { digest }) => void told.push([of, digest]),
  });
  return told;
}

test("sim: runs in several threads are told in order, and are those of one thread", async () => {
  const inOne = await digests(1, 5);
  assert.deepEqual(
    inOne.map(([seed]) => seed),
    [1, 2, 3, 4, 5],
  );
  assert.deepEqual(await digests(3, 5), inOne);
});

test("sim: a run that cannot be made is told to whoever asked for it", async () => {
  let left = 2;
  const work = {
    workers: 2,
    next: () => (left-- > 0 ? { seed: 1, nodes: 1e9, minutes: 1 } : undefined),
    done: () => {},
  };
  await assert.rejects(runInOrder(work), RangeError);
});
