// Whole clusters of membership machines on virtual time, under faults, from fixed seeds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import { OFFER_EVERY_MS } from "./offering.ts";
import { DEFAULT_DETECTION as detection } from "./protocol.ts";
import { FIRST_CONFIG, VirtualCluster, type VirtualSettings } from "./testing/virtual-cluster.ts";

const SEEDS = Array.from({ length: 20 }, (_, index) => index + 1);

function settled(settings: VirtualSettings): VirtualCluster {
  const cluster = new VirtualCluster(settings);
  cluster.startAll();
  cluster.run(5000 + settings.seed * 7);
  assert.ok(cluster.agree(...cluster.ids), `seed ${settings.seed}: the cluster came up`);
  return cluster;
}

function onlyMaster(cluster: VirtualCluster): number {
  const [master, ...others] = cluster.masters();
  assert.deepEqual(others, []);
  assert.ok(master !== undefined);
  return master;
}

const without = (cluster: VirtualCluster, ...ids: number[]): number[] =>
  cluster.ids.filter((id) => !ids.includes(id));

test("A3: nodes that start together end up with one master, and all are members", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 5, seed, loss: 0.05 });
    assert.equal(cluster.masters().length, 1, `seed ${seed}`);
  }
});

test("A3: of nodes that start together the lowest address becomes master", () => {
  assert.deepEqual(settled({ size: 4, seed: 1 }).masters(), [1]);
});

test("A9: a dead member departs within the detection interval, and is confirmed silent", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    const died = cluster.nowMs;
    cluster.crash(3, "machine-down");
    cluster.run(2000);
    const [departed] = cluster.events("member-departed", died);
    assert.equal(departed?.event.id, 3);
    assert.ok(departed.atMs - died <= 201, `seed ${seed}: after ${departed.atMs - died} ms`);
    const [confirmed] = cluster.events("departure-confirmed", died);
    assert.deepEqual(confirmed?.event, { type: "departure-confirmed", id: 3, reason: "silent" });
    assert.ok(cluster.agree(1, 2, 4));
  }
});

test("A9, A13: a member whose agent alone died is known by its kernel's answer, and departs no sooner than its right has ended", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    const version = { epoch: cluster.view(3).epoch, counter: 1, master: nodeId(1) };
    cluster.step(3, { type: "tables-published", version });
    cluster.run(100 + seed * 11);
    const died = cluster.nowMs;
    const acceptMs = cluster.acceptMs(3);
    cluster.crash(3, "agent-down");
    cluster.run(2000);
    const [departed] = cluster.events("member-departed", died);
    assert.deepEqual(departed?.event, { type: "member-departed", id: 3, reason: "agent-down" });
    const afterMs = departed.atMs - died;
    assert.ok(acceptMs > 0 && afterMs >= acceptMs, `seed ${seed}: ${afterMs} of ${acceptMs} ms`);
    assert.ok(afterMs <= 201, `seed ${seed}: after ${afterMs} ms`);
  }
});

test("A2, A13: a member that is expelled departs when it has heard of it, though datagrams get lost: only then do its slots move", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    const version = { epoch: cluster.view(3).epoch, counter: 1, master: nodeId(1) };
    cluster.step(3, { type: "tables-published", version });
    cluster.run(100 + seed * 11);
    assert.ok(cluster.acceptMs(3) > 0, `seed ${seed}`);
    const others = cluster.admitted.filter(({ id }) => id !== 3);
    cluster.loss = 0.3;
    const expelled = cluster.nowMs;
    cluster.step(1, { type: "config-changed", config: FIRST_CONFIG, admitted: others, detection });
    while (cluster.events("member-departed", expelled).length === 0) cluster.run(1);
    assert.equal(cluster.acceptMs(3), 0, `seed ${seed}`);
    assert.ok(!cluster.view(1).members.some(({ id }) => id === 3), `seed ${seed}`);
  }
});

test("A12: a dead master is replaced by one master in one step: the survivors never stop being members", () => {
  for (const seed of SEEDS) {
    for (const how of ["machine-down", "agent-down"] as const) {
      const cluster = settled({ size: 4, seed });
      const died = cluster.nowMs;
      cluster.crash(1, how);
      cluster.run(2000);
      assert.equal(onlyMaster(cluster), 2);
      assert.ok(cluster.agree(2, 3, 4));
      const [elected, ...more] = cluster.events("became-master", died);
      assert.deepEqual(more, []);
      assert.ok(elected !== undefined && elected.atMs - died <= 205, `seed ${seed}, ${how}`);
      const roles = cluster.events("view-changed", died).map(({ event }) => event.view.role);
      assert.ok(!roles.includes("joining") && !roles.includes("offering"), `seed ${seed}, ${how}`);
      const departed = cluster.events("member-departed", died).map(({ event }) => event.id);
      assert.deepEqual(departed, [1]);
    }
  }
});

test("A12: with 5 % loss a dead master is replaced in less than 300 ms", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    cluster.loss = 0.05;
    cluster.run(10_000);
    const died = cluster.nowMs;
    const master = onlyMaster(cluster);
    cluster.crash(master, "machine-down");
    cluster.run(3000);
    const [elected] = cluster.events("became-master", died);
    assert.ok(elected !== undefined && elected.atMs - died < 300, `seed ${seed}`);
    onlyMaster(cluster);
    assert.ok(cluster.agree(...without(cluster, master)), `seed ${seed}`);
  }
});

test("A12: master and secondary die together, and the third takes over", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    cluster.crash(1, "machine-down");
    cluster.crash(2, "machine-down");
    cluster.run(3000);
    assert.equal(onlyMaster(cluster), 3, `seed ${seed}`);
    assert.ok(cluster.agree(3, 4), `seed ${seed}`);
  }
});

test("A12: a master that leaves is replaced without waiting for its silence", () => {
  const cluster = settled({ size: 4, seed: 3 });
  const left = cluster.nowMs;
  cluster.step(1, { type: "leave" });
  cluster.run(1000);
  const [elected] = cluster.events("became-master", left);
  // an offer that overtakes the last words is repeated
  assert.ok(elected !== undefined && elected.atMs - left < OFFER_EVERY_MS + 5);
  const [departed] = cluster.events("member-departed", left);
  assert.deepEqual(departed?.event, { type: "member-departed", id: 1, reason: "left" });
});

test("A12: a frozen master finds its successor when it runs again, and joins it", () => {
  for (const seed of SEEDS) {
    for (const size of [2, 4]) {
      const cluster = settled({ size, seed });
      cluster.freeze(1);
      cluster.run(1000 + seed * 13);
      assert.equal(onlyMaster(cluster), 2);
      cluster.thaw(1);
      cluster.run(3000);
      assert.equal(onlyMaster(cluster), 2, `seed ${seed}, size ${size}`);
      assert.ok(cluster.agree(...cluster.ids), `seed ${seed}, size ${size}`);
    }
  }
});

test("A12: a busy agent neither looks dead sooner than it is nor believes that others are", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    const since = cluster.nowMs;
    for (let round = 0; round < 20; round++) {
      cluster.freeze((round % 4) + 1);
      cluster.run(90);
      cluster.thaw((round % 4) + 1);
      cluster.run(300);
    }
    assert.deepEqual(cluster.events("member-departed", since), [], `seed ${seed}`);
    assert.deepEqual(cluster.events("became-master", since), [], `seed ${seed}`);
  }
});

test("A12: a pause of all machines at once is nobody's death", () => {
  const cluster = settled({ size: 4, seed: 5 });
  for (const id of cluster.ids) cluster.freeze(id);
  cluster.run(5000);
  const since = cluster.nowMs;
  for (const id of cluster.ids) cluster.thaw(id);
  cluster.run(3000);
  assert.deepEqual(cluster.events("member-departed", since), []);
  assert.ok(cluster.agree(...cluster.ids));
});

test("A5: after a partition the side with more members keeps its master and takes the others in", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 5, seed });
    cluster.partition([1, 2], [3, 4, 5]);
    cluster.run(2000);
    assert.deepEqual(cluster.masters(), [1, 3]);
    cluster.partition();
    cluster.run(5000);
    assert.equal(onlyMaster(cluster), 3, `seed ${seed}`);
    assert.ok(cluster.agree(1, 2, 3, 4, 5), `seed ${seed}`);
    assert.ok(cluster.events("announce-wanted").some(({ node }) => node === 3));
  }
});

test("A5: of two equal sides the lower address stays master", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed });
    cluster.partition([1, 4], [2, 3]);
    cluster.run(2000);
    cluster.partition();
    cluster.run(5000);
    assert.equal(onlyMaster(cluster), 1, `seed ${seed}`);
    assert.ok(cluster.agree(1, 2, 3, 4), `seed ${seed}`);
  }
});

test("A5: masters that never shared a key find each other by their signed announcements", () => {
  for (const seed of SEEDS) {
    const cluster = new VirtualCluster({ size: 4, seed });
    cluster.partition([1, 2], [3, 4]);
    cluster.startAll();
    cluster.run(3000);
    assert.deepEqual(cluster.masters(), [1, 3]);
    cluster.partition();
    cluster.run(5000);
    assert.equal(onlyMaster(cluster), 1, `seed ${seed}`);
    assert.ok(cluster.agree(1, 2, 3, 4), `seed ${seed}`);
  }
});

test("A6: a restarted agent is a member again, and not twice", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 3, seed });
    cluster.crash(2, "agent-down");
    cluster.run(seed * 5);
    cluster.start(2);
    cluster.run(5000);
    assert.ok(cluster.agree(1, 2, 3), `seed ${seed}`);
    assert.deepEqual(cluster.events("address-conflict"), []);
  }
});

test("A17: no false detection in simulated minutes at 0, 1, 5 and 20 % loss", () => {
  for (const loss of [0, 0.01, 0.05, 0.2]) {
    const cluster = settled({ size: 4, seed: 11 });
    cluster.loss = loss;
    const since = cluster.nowMs;
    cluster.run(20 * 60_000);
    assert.deepEqual(cluster.events("member-departed", since), [], `loss ${loss}`);
    assert.deepEqual(cluster.events("became-master", since), [], `loss ${loss}`);
  }
});

/** Random faults for a while, then rest: whatever happened, the cluster must become whole again. */
function storm(seed: number): VirtualCluster {
  const cluster = settled({ size: 5, seed });
  const prng = new Prng(seed * 977);
  const state = new Map<number, "frozen" | "down">();
  for (let round = 0; round < 30; round++) {
    const id = 1 + prng.below(5);
    const action = prng.below(6);
    if (state.get(id) === "frozen") {
      cluster.thaw(id);
      state.delete(id);
    } else if (state.get(id) === "down") {
      cluster.start(id);
      state.delete(id);
    } else if (action < 2) {
      cluster.crash(id, action === 0 ? "agent-down" : "machine-down");
      state.set(id, "down");
    } else if (action === 2) {
      cluster.freeze(id);
      state.set(id, "frozen");
    } else if (action === 3) {
      const side = cluster.ids.filter(() => prng.chance(0.5));
      cluster.partition(side);
    } else if (action === 4) cluster.partition();
    else cluster.loss = prng.below(30) / 100;
    cluster.run(prng.below(1200));
  }
  cluster.partition();
  cluster.loss = 0;
  for (const [id, what] of state) {
    if (what === "frozen") cluster.thaw(id);
    else cluster.start(id);
  }
  return cluster;
}

test("A5, A12: after any storm of faults there is one master, and every node is a member", () => {
  for (const seed of SEEDS) {
    const cluster = storm(seed);
    cluster.run(20_000);
    assert.equal(cluster.masters().length, 1, `seed ${seed}: ${cluster.masters().join()}`);
    assert.ok(cluster.agree(1, 2, 3, 4, 5), `seed ${seed}`);
  }
});

test("B11: a node beyond the segment is a member and never master, though its address is the lowest", () => {
  for (const seed of SEEDS) {
    const cluster = settled({ size: 4, seed, loss: 0.05, remote: [1] });
    assert.deepEqual(cluster.masters(), [2], `seed ${seed}`);
    assert.equal(cluster.view(1).secondary, 3);
    const died = cluster.nowMs;
    cluster.crash(2, "machine-down");
    cluster.run(3000);
    assert.deepEqual(cluster.masters(), [3], `seed ${seed}: the heir is on the segment`);
    assert.ok(cluster.agree(1, 3, 4), `seed ${seed}: it follows the heir`);
    cluster.crash(3, "machine-down");
    cluster.crash(4, "machine-down");
    cluster.run(3000);
    assert.deepEqual(cluster.masters(), [], `seed ${seed}: alone it waits`);
    for (const id of [2, 3, 4]) cluster.start(id);
    cluster.run(6000);
    assert.ok(cluster.agree(1, 2, 3, 4), `seed ${seed}: all are back`);
    const led = cluster.events("became-master", died).map(({ node }) => node);
    assert.ok(!led.includes(nodeId(1)), `seed ${seed}`);
  }
});
