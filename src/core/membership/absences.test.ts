// B4, A9: machines of nodes that are no members are asked on, as long as connections on them may be looked for: clusters on virtual time.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ASK_EVERY_MS, ASK_TIMES } from "./absences.ts";
import { MESSAGES, PHASES, shown } from "./testing/subject.ts";
import { VirtualCluster } from "./testing/virtual-cluster.ts";

const SEEDS = [1, 2, 3, 4, 5, 6];
/** Until a machine that answers no more is known to be dead. */
const KNOWN_MS = (ASK_TIMES + 1) * ASK_EVERY_MS;

function settled(seed: number): VirtualCluster {
  const cluster = new VirtualCluster({ size: 4, seed });
  cluster.startAll();
  cluster.run(3000);
  assert.ok(cluster.agree(...cluster.ids), `seed ${seed}`);
  return cluster;
}

const gone = (cluster: VirtualCluster): number[] =>
  cluster.events("machine-gone").map(({ event }) => event.id);

test("B4: the machine of an agent that was killed counts as alive while it answers, and as dead when it does not", () => {
  for (const seed of SEEDS) {
    const cluster = settled(seed);
    cluster.crash(3, "agent-down");
    cluster.loss = 0.05;
    cluster.run(30_000);
    assert.deepEqual(gone(cluster), [], `seed ${seed}`);
    cluster.crash(3, "machine-down");
    cluster.run(KNOWN_MS);
    assert.deepEqual(gone(cluster), [3], `seed ${seed}`);
    cluster.run(30_000);
    assert.deepEqual(gone(cluster), [3], "it is said once, and not asked any more");
  }
});

test("B4: a new master learns of machines that died before it could be certain", () => {
  for (const seed of SEEDS) {
    const cluster = settled(seed);
    cluster.crash(4, "machine-down");
    cluster.run(300);
    assert.deepEqual(
      cluster.events("member-departed").map(({ event }) => event.id),
      [4],
    );
    cluster.crash(1, "machine-down");
    cluster.run(300);
    assert.deepEqual(cluster.masters(), [2]);
    cluster.run(KNOWN_MS);
    assert.deepEqual(gone(cluster), [4], `seed ${seed}: of node 1 its departure was confirmed`);
    assert.ok(cluster.agree(2, 3));
  }
});

test("B4: a node that is back is no dead machine, nor is one that asks to be let in", () => {
  const cluster = settled(1);
  cluster.crash(3, "agent-down");
  cluster.run(2000);
  cluster.start(3);
  cluster.run(20_000);
  assert.deepEqual(gone(cluster), []);
  assert.ok(cluster.agree(...cluster.ids));

  const master = PHASES.governing();
  for (let second = 0; second < 20; second++) {
    master.hears(4, MESSAGES["join-request"]);
    const said = master.run(1000).map(shown);
    assert.ok(!said.includes("machine-gone 4"));
  }
  assert.ok(master.run(KNOWN_MS).map(shown).includes("machine-gone 4"));
});
