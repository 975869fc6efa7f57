// A8: balancing by measured load under load that shifts, in whole clusters.
import assert from "node:assert/strict";
import { test } from "node:test";
import { BalancingRun } from "./balancing-run.ts";
import { failureText } from "./report.ts";

test("A8: balancing follows shifting load, ends within a slot of every member's share, and no slot goes to and fro", () => {
  let [moves, settled] = [0, 0];
  for (let seed = 1; seed <= 12; seed++) {
    const nodes = 3 + (seed % 3);
    const { failure, counts } = new BalancingRun({ seed, nodes, minutes: 12 }).run();
    const command = `npm run sim -- --balancing --seed ${seed} --nodes ${nodes} --minutes 12`;
    assert.equal(failure, undefined, failure && failureText(seed, command, failure));
    moves += counts["moves"] ?? 0;
    settled += counts["settled"] ?? 0;
  }
  assert.ok(settled >= 40 && moves > settled, `${moves} moves after ${settled} changes`);
});
