// A16, A18: of a cluster that falls apart one part at most goes on with its sessions, and no node speaks when another part may have taken
// its sessions over (docs/adr/0029).
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import type { SplitOfTwo } from "#base/split-of-two.ts";
import { instant } from "#base/time.ts";
import { Quorum } from "./quorum.ts";
import { VirtualCluster } from "./testing/virtual-cluster.ts";

const DETECTION_MS = 200;

/** Node 1, after these were together, one list after the other, each for long enough. */
function together(...lists: readonly (readonly number[])[]): Quorum {
  return putTogether(new Quorum(nodeId(1)), lists);
}

function putTogether(quorum: Quorum, lists: readonly (readonly number[])[]): Quorum {
  lists.forEach((ids, index) => {
    for (const late of [0, DETECTION_MS]) {
      quorum.seen(instant(index * 1000 + late), ids.map(nodeId), DETECTION_MS);
    }
  });
  return quorum;
}

test("A16: most of those that were together last go on; of an even number the half with the lowest id", () => {
  for (const [before, now, isMost] of [
    [[1], [1], true],
    [[1, 2], [1], true],
    [[1, 2, 3], [1, 2], true],
    [[1, 2, 3], [1], false],
    [[1, 2, 3, 4], [1, 4], true],
    [[0, 1, 2, 3], [1, 2], false],
    [[1, 2, 3, 4, 5], [1, 2], false],
    [[1, 2, 3, 4, 5], [1, 2, 6, 7, 8], false],
  ] as const) {
    assert.equal(together(before, now).isMost, isMost, `${now.join()} of ${before.join()}`);
  }
});

test("A16: members that go one after the other are not missed: whoever stays together is the new measure after a detection interval", () => {
  assert.equal(together([1, 2, 3, 4, 5], [1, 2, 3], [1, 2]).isMost, true);
  const quorum = together([1, 2, 3]);
  quorum.seen(instant(5000), [nodeId(1), nodeId(2)], DETECTION_MS);
  quorum.seen(instant(5100), [nodeId(1)], DETECTION_MS);
  assert.equal(quorum.isMost, false, "both were cut off at once, and noticed one after the other");
  quorum.seen(instant(9000), [nodeId(1)], DETECTION_MS);
  assert.equal(quorum.isMost, false, "time alone does not change that");
  quorum.seen(instant(9001), [1, 2, 3].map(nodeId), DETECTION_MS);
  assert.equal(quorum.isMost, true);
});

test("A16: who has left, or whose agent has ended, does not count", () => {
  const quorum = together([1, 2, 3]);
  quorum.gone(nodeId(3), false);
  quorum.seen(instant(5000), [nodeId(1)], DETECTION_MS);
  assert.equal(quorum.isMost, true, "of two, whoever is left");
});

/** Of two of which the lower one alone goes on: what is left when node `self` is alone after these were together. */
function lowestOfTwo(self: number, ...lists: readonly (readonly number[])[]): Quorum {
  return putTogether(new Quorum(nodeId(self), [], "lowest"), [...lists, [self]]);
}

test("A16: where the configuration says so, the lower one of two goes on, and the other does not", () => {
  assert.equal(lowestOfTwo(1).isMost, true, "it was never with anybody");
  assert.equal(lowestOfTwo(2).isMost, true);
  assert.equal(lowestOfTwo(1, [1, 2]).isMost, true);
  assert.equal(lowestOfTwo(2, [1, 2]).isMost, false);
  assert.equal(lowestOfTwo(2, [1, 2, 3], [2, 3]).isMost, true, "1 has died before");
  assert.equal(lowestOfTwo(3, [1, 2, 3], [2, 3]).isMost, false);
  const lostAt = (id: number) => instant(id * 100);
  const [low, high] = [1, 2].map((self) =>
    putTogether(new Quorum(nodeId(self), [], "lowest"), [[1, 2]]),
  );
  assert.equal(low?.outvotedAt(lostAt), Infinity);
  assert.equal(high?.outvotedAt(lostAt), 100, "when 1 may have given it up");
});

test("A16: with the lower one of two: who has said goodbye does not count, nor for itself; whose agent has crashed may come back and speak", () => {
  for (const knows of [true, false]) {
    const quorum = lowestOfTwo(2, [1, 2]);
    quorum.gone(nodeId(1), knows);
    assert.equal(quorum.isMost, knows);
  }
  const leaver = lowestOfTwo(1, [1, 2]);
  putTogether(leaver, [[1, 2]]);
  leaver.left();
  const next = new Quorum(nodeId(1), [...leaver.last], "lowest");
  putTogether(next, [[1]]);
  assert.equal(next.isMost, false, "2 goes on without it");
  next.keepOnly(new Set([nodeId(1)]));
  assert.equal(next.isMost, true, "2 was taken out of the configuration");
});

test("A16: a member goes by its master's word: only the master hears of everybody who has left", () => {
  const rest = [1, 4].map(nodeId);
  const quorum = together([0, 1, 2, 4]);
  quorum.told(instant(5000), rest, DETECTION_MS, true);
  assert.equal(quorum.isMost, true, "0 and 2 have left, and this node was not told");
  assert.equal(quorum.regained, 0, "so it was never out");
  quorum.told(instant(5100), rest, DETECTION_MS, false);
  assert.equal(quorum.isMost, false, "the master has lost too many");
  quorum.seen(instant(5200), rest, DETECTION_MS);
  assert.equal(quorum.isMost, true, "on its own, by whom it was together with last");
});

test("A16: nodes that were taken out of the configuration are missed by nobody", () => {
  const quorum = together([1, 2, 3, 4, 5]);
  quorum.seen(instant(5000), [1, 2].map(nodeId), DETECTION_MS);
  assert.equal(quorum.isMost, false);
  quorum.keepOnly(new Set([1, 2].map(nodeId)));
  assert.equal(quorum.isMost, true);
});

test("A16: a node is outvoted when most of the others may have given it up", () => {
  const lostAt = (id: number) => instant(id * 100);
  assert.equal(together([1, 2]).outvotedAt(lostAt), Infinity, "nobody can be");
  assert.equal(together([1, 2, 3]).outvotedAt(lostAt), 300);
  assert.equal(together([1, 2, 3, 4, 5]).outvotedAt(lostAt), 400);
  assert.equal(together([1, 2, 3, 4]).outvotedAt(lostAt), 400, "this node has the lowest id");
});

/** Members hear the tables of their master as they would from their main threads. */
function giveTables(cluster: VirtualCluster, to: readonly number[] = cluster.ids): void {
  for (const id of to) {
    const { role, master, epoch } = cluster.view(id);
    if (role !== "member" || cluster.acceptMs(id) > 0) continue;
    cluster.step(id, { type: "tables-published", version: { epoch, counter: 1, master } });
  }
}

/** A master may give others what a node has that is not, or no more, its member: one of both speaks at most. */
function bothSpeak(cluster: VirtualCluster): string | undefined {
  const speaking = cluster.ids.filter((id) => cluster.speakMs(id) > 0);
  for (const id of speaking.filter((one) => cluster.view(one).role === "master")) {
    const members = cluster.view(id).members.map((member) => member.id);
    const other = speaking.find((one) => !members.includes(one));
    if (other !== undefined) return `${id} speaks for ${members.join()}, and so does ${other}`;
  }
  return undefined;
}

/** @param onTheWayMs for so long a word that ends a right may be under way: no tables are made and acted upon so soon */
function run(
  cluster: VirtualCluster,
  durationMs: number,
  alive: readonly number[] = cluster.ids,
  onTheWayMs = 0,
): string | undefined {
  let problemMs = 0;
  for (const end = cluster.nowMs + durationMs; cluster.nowMs < end;) {
    cluster.run(1);
    giveTables(cluster, alive);
    const problem = bothSpeak(cluster);
    problemMs = problem === undefined ? 0 : problemMs + 1;
    if (problem !== undefined && problemMs > onTheWayMs) return problem;
  }
  return undefined;
}

const everybodySpeaks = (cluster: VirtualCluster): boolean =>
  cluster.ids.every((id) => cluster.speakMs(id) > 0);

/** The cluster has been whole for long. */
function whole(size: number, seed: number, splitOfTwo: SplitOfTwo = "both"): VirtualCluster {
  const cluster = new VirtualCluster({ size, seed, splitOfTwo });
  cluster.startAll();
  // two that start apart have no sessions of each other
  cluster.run(3000);
  giveTables(cluster);
  cluster.run(1000 + seed * 7);
  assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak in a cluster that is whole`);
  return cluster;
}

for (const size of [3, 4, 5]) {
  test(`A16, A18: ${size} members that fall apart anyhow, and meet again: nobody speaks for whom another part has given up`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const cluster = whole(size, seed);
      const prng = new Prng(seed);
      const apart = cluster.ids.filter(() => prng.chance(0.5));
      cluster.partition(apart);
      assert.equal(run(cluster, 300 + prng.below(2000)), undefined, `seed ${seed}`);
      cluster.partition();
      assert.equal(run(cluster, 6000), undefined, `seed ${seed}, meeting again`);
      assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
    }
  });
}

for (const size of [2, 3, 4]) {
  test(`A16, A18: ${size} members of which two do not hear each other, in one direction or in both, and everybody else hears everybody: nobody speaks for whom another one has given up`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const cluster = whole(size, seed, "lowest");
      const prng = new Prng(seed);
      const pairs = cluster.ids.flatMap((from) =>
        cluster.ids.flatMap((to): [number, number][] => (from === to ? [] : [[from, to]])),
      );
      const [from, to] = prng.pick(pairs);
      cluster.deafen([from, to], ...(prng.chance(0.5) ? [[to, from] as const] : []));
      assert.equal(run(cluster, 300 + prng.below(2000), cluster.ids, 2), undefined, `seed ${seed}`);
      cluster.deafen();
      assert.equal(run(cluster, 6000, cluster.ids, 2), undefined, `seed ${seed}, meeting again`);
      assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
    }
  });
}

for (const what of ["hears the others and is not heard", "is heard and hears nobody"] as const) {
  test(`A16, A18: one of three or four members ${what}: nobody speaks for whom another one has given up`, () => {
    for (let seed = 1; seed <= 60; seed++) {
      const cluster = whole(3 + (seed % 2), seed);
      const one = (seed % cluster.ids.length) + 1;
      const others = cluster.ids.filter((id) => id !== one);
      const isHeard = what === "is heard and hears nobody";
      cluster.deafen(...others.map((id) => (isHeard ? [id, one] : [one, id]) as [number, number]));
      assert.equal(run(cluster, 1500, cluster.ids, 2), undefined, `seed ${seed}`);
      cluster.deafen();
      assert.equal(run(cluster, 6000, cluster.ids, 2), undefined, `seed ${seed}, meeting again`);
      assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
    }
  });
}

test("A16, A18: of two that fall apart, the lower one alone speaks, where the configuration says so", () => {
  for (let seed = 1; seed <= 60; seed++) {
    const cluster = whole(2, seed, "lowest");
    const prng = new Prng(seed);
    cluster.partition([1]);
    for (const end = cluster.nowMs + 300 + prng.below(2000); cluster.nowMs < end;) {
      assert.equal(run(cluster, 1), undefined, `seed ${seed}`);
      assert.ok(cluster.speakMs(1) > 0, `seed ${seed}: 1 speaks on`);
    }
    assert.equal(cluster.speakMs(2), 0, `seed ${seed}: 2 is silent`);
    cluster.partition();
    assert.equal(run(cluster, 6000), undefined, `seed ${seed}, meeting again`);
    assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
  }
});

test("A16: of two of which the lower one alone may go on, one that leaves hinders nobody, and does not speak when it starts apart", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = whole(2, seed, "lowest");
    const [leaving, other] = seed % 2 === 0 ? [1, 2] : [2, 1];
    cluster.step(leaving, { type: "leave" });
    cluster.crash(leaving, "agent-down");
    run(cluster, 3000, [other]);
    assert.ok(cluster.speakMs(other) > 0, `seed ${seed}: ${other} speaks`);
    cluster.partition([leaving]);
    cluster.start(leaving);
    for (let ms = 0; ms < 3000; ms++) {
      run(cluster, 1);
      assert.equal(cluster.speakMs(leaving), 0, `seed ${seed}: ${leaving} has given its part up`);
    }
    cluster.partition();
    assert.equal(run(cluster, 6000), undefined, `seed ${seed}, meeting again`);
    assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
  }
});

test("A16: of two whose agents crash and start apart, both never speak, where the lower one alone may", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = whole(2, seed, "lowest");
    const crashed = (seed % 2) + 1;
    cluster.crash(crashed, "agent-down");
    assert.equal(run(cluster, 1000, [3 - crashed]), undefined, `seed ${seed}`);
    cluster.partition([crashed]);
    cluster.start(crashed);
    for (let ms = 0; ms < 3000; ms++) {
      run(cluster, 1);
      assert.equal(cluster.speakMs(2), 0, `seed ${seed}: 2 is not the lower one`);
    }
    cluster.partition();
    assert.equal(run(cluster, 6000), undefined, `seed ${seed}, meeting again`);
    assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
  }
});

test("A16: most members leave at once: those that stay speak on", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = whole(4, seed);
    // half of them, and the one with the lowest id
    const leaving = [1, (seed % 3) + 2];
    for (const id of leaving) cluster.step(id, { type: "leave" });
    const others = cluster.ids.filter((id) => !leaving.includes(id));
    run(cluster, 3000, others);
    for (const id of others) assert.ok(cluster.speakMs(id) > 0, `seed ${seed}: ${id} speaks`);
  }
});

test("A16: a member that is cut off does not speak because its agent starts anew, and speaks when it has found the others", () => {
  for (let seed = 1; seed <= 20; seed++) {
    const cluster = whole(3, seed);
    const alone = (seed % 3) + 1;
    cluster.partition([alone]);
    cluster.run(500);
    cluster.crash(alone, "agent-down");
    cluster.start(alone);
    for (let ms = 0; ms < 5000; ms += 1) {
      run(cluster, 1);
      assert.equal(cluster.speakMs(alone), 0, `seed ${seed}: nobody knows what the others do`);
    }
    cluster.partition();
    assert.equal(run(cluster, 6000), undefined, `seed ${seed}`);
    assert.ok(everybodySpeaks(cluster), `seed ${seed}: all speak again`);
  }
});

test("A16, A18: a member that dies silences nobody for longer than it takes to notice", () => {
  for (let seed = 1; seed <= 40; seed++) {
    const cluster = whole(3, seed);
    const victim = (seed % 3) + 1;
    cluster.crash(victim, "machine-down");
    const others = cluster.ids.filter((id) => id !== victim);
    run(cluster, 500, others);
    for (const id of others) assert.ok(cluster.speakMs(id) > 0, `seed ${seed}: ${id} speaks`);
  }
});
