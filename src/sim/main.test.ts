// The command itself: exit status, one JSON object, errors that say what to write instead.
import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import path from "node:path";
import { test } from "node:test";

function sim(...args: string[]): { status: number | null; out: string; err: string } {
  const main = path.join(import.meta.dirname, "main.ts");
  const { status, stdout, stderr } = spawnSync(process.execPath, [main, ...args], {
    encoding: "utf8",
  });
  return { status, out: stdout, err: stderr };
}

test("sim: the command of the how-to: seeds, a summary as JSON, exit 0 without a violation", () => {
  const { status, out, err } = sim("--seed", "1", "--seeds", "2", "--minutes", "1", "--json");
  assert.equal(status, 0, err);
  const summary = JSON.parse(out) as Record<string, unknown>;
  assert.equal(summary["ok"], true);
  assert.equal(summary["seeds"], 2);
  assert.ok(Number(summary["events"]) > 1000);
});

test("sim: help is asked for with exit 0; what is not understood ends with 2 and the usage", () => {
  assert.equal(sim("--help").status, 0);
  const { status, err } = sim("--seeds", "none");
  assert.equal(status, 2);
  assert.match(err, /--seeds is a whole number[\s\S]*usage: npm run sim/);
});
