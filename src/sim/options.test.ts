// The command line of the simulator.
import assert from "node:assert/strict";
import { test } from "node:test";
import { readOptions, UsageError } from "./options.ts";

test("sim: options have defaults, and are read", () => {
  const { command, seed, seeds, nodes, minutes, json } = readOptions([]);
  assert.deepEqual([command, seed, seeds, nodes, minutes, json], ["run", 1, 1, 5, 30, false]);
  const other = readOptions(["--seed", "7", "--seeds", "3", "--nodes", "4", "--minutes", "2"]);
  assert.deepEqual([other.seed, other.seeds, other.nodes, other.minutes], [7, 3, 4, 2]);
  assert.equal(readOptions(["--soak"]).command, "soak");
  assert.equal(readOptions(["--help", "--soak"]).command, "help");
});

test("sim: --hours takes a range of nodes, a first seed and a log", () => {
  assert.equal(readOptions([]).bulk, undefined);
  assert.deepEqual(readOptions(["--hours", "7"]).bulk, {
    ...{ hours: 7, firstSeed: undefined, log: undefined, keepGoing: false, workers: 1 },
    nodes: { least: 3, most: 5 },
  });
  const other = readOptions(["--hours", "7", "--first-seed", "9", "--nodes", "4", "--log", "x"]);
  assert.equal(other.bulk?.firstSeed, 9);
  assert.equal(other.bulk.log, "x");
  assert.deepEqual(other.bulk.nodes, { least: 4, most: 4 });
  assert.equal(readOptions(["--hours", "7", "--workers", "2"]).bulk?.workers, 2);
});

test("sim: what is not understood is refused with what to write instead", () => {
  const wrong: readonly (readonly [readonly string[], RegExp])[] = [
    [["--seed", "x"], /--seed is a whole number from 0 to/],
    [["--nodes", "0"], /--nodes is a whole number from 1 to 16, not "0"/],
    [["--minutes", "1.5"], /--minutes is a whole number/],
    [["--seeds", ""], /--seeds is a whole number/],
    [["--bogus"], /--bogus/],
    [["7"], /7/],
    [["--soak", "--scale"], /exclude each other/],
    [["--soak", "--hours", "3"], /exclude each other/],
    [["--balancing", "--hours", "3"], /exclude each other/],
    [["--hours", "0"], /--hours is a whole number/],
    [["--hours", "3", "--nodes", "5-3"], /--nodes is a number or two, as in 3-5, not "5-3"/],
    [["--nodes", "3-5"], /--nodes is a whole number/],
    [["--log", "x"], /go with --hours/],
    [["--workers", "2"], /go with --hours/],
    [["--hours", "3", "--workers", "0"], /--workers is a whole number from 1 to 64/],
  ];
  for (const [args, message] of wrong) {
    assert.throws(
      () => readOptions(args),
      (error) => error instanceof UsageError && message.test(error.message),
    );
  }
});
