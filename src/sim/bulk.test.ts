// Batches of hours: what a seed means, and that the file of one batch is where the next begins.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test } from "node:test";
import { bulkText, linesOf, replayOf, runHours, settingsOf } from "./bulk.ts";
import { UsageError } from "./options.ts";

const RANGE = { least: 3, most: 5 };

test("sim: nodes and minutes of a batch follow from the seed, and all of them come", () => {
  const nodes = new Set<number>();
  for (let seed = 1; seed < 200; seed++) {
    const settings = settingsOf(seed, RANGE);
    assert.deepEqual(settings, settingsOf(seed, RANGE));
    assert.ok(settings.minutes >= 5 && settings.minutes <= 60);
    nodes.add(settings.nodes);
  }
  assert.deepEqual(
    [...nodes].sort((a, b) => a - b),
    [3, 4, 5],
  );
  const text = replayOf({ seed: 7, nodes: 4, minutes: 12 });
  assert.equal(text, "npm run sim -- --seed 7 --nodes 4 --minutes 12");
});

test("sim: a batch goes on where the file of the one before ends", async (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "panoply-sim-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const log = path.join(folder, "sim.jsonl");
  const said: string[] = [];
  const options = { hours: 0.01, firstSeed: undefined, nodes: { least: 1, most: 1 }, log };
  const bulk = {
    options: { ...options, keepGoing: false, workers: 1 },
    isStopped: () => false,
    say: (text: string) => void said.push(text),
  };
  const [first] = await runHours(bulk);
  assert.deepEqual([first?.first, first?.next, first?.seeds], [1, 2, 1]);
  const lines = await runHours(bulk);
  assert.deepEqual([lines[0]?.first, lines[0]?.next], [2, 3]);
  assert.deepEqual(linesOf(log), [first, ...lines]);
  assert.match(said.join("\n"), /going on with seed 2/);
  assert.match(bulkText(lines), /to go on: --first-seed 3/);
});

test("sim: a batch in several threads has no gaps, and ends when it is stopped", async () => {
  let asked = 0;
  const options = { hours: 1000, firstSeed: 7, nodes: { least: 1, most: 1 }, log: undefined };
  const lines = await runHours({
    options: { ...options, keepGoing: false, workers: 2 },
    isStopped: () => ++asked > 3,
    say: () => {},
  });
  const [line] = lines;
  assert.deepEqual([lines.length, line?.first, line?.next, line?.seeds], [1, 7, 10, 3]);
});

test("sim: a file that is no log of batches is not written to", (t) => {
  const folder = mkdtempSync(path.join(tmpdir(), "panoply-sim-"));
  t.after(() => rmSync(folder, { recursive: true }));
  const log = path.join(folder, "notes.txt");
  writeFileSync(log, "not mine\n");
  assert.throws(() => linesOf(log), UsageError);
});
