// A16, A8 on virtual time: whatever happens to members, no byte of a connection is missing, doubled or in the wrong place in either
// direction, none is reset, and no two members speak for one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { giveLines, serveLines } from "./application.ts";
import { run } from "./run.ts";
import type { SimulatedClient } from "./client.ts";
import { World } from "./world.ts";

/** Four members, each connection on its own and on as many others. */
const SPREADS = [1, 2].map((replicas) => ({ members: 4, replicas }));

const SEEDS = 24;
const FAULTS = 5;

for (let first = 1; first <= SEEDS; first += 8) {
  test(`A16: takeovers and hand-overs lose, double and reorder nothing, seeds ${first} to ${first + 7}`, async () => {
    for (let seed = first; seed < first + 8; seed++) {
      const { problem, nowMs } = await run(seed, FAULTS);
      assert.equal(problem, undefined, `seed ${seed} at ${nowMs.toFixed(0)} ms`);
    }
  });
}

for (const spread of SPREADS) {
  test(`A16: so they do where only ${spread.replicas} of three others hold a connection, and whoever takes it over may be none of them`, async () => {
    const seeds = [1, 2, 3, 4, 5, 6, 7, 8];
    let [fetched, taken] = [0, 0];
    for (const seed of seeds) {
      const world = await run(seed, FAULTS, spread);
      assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
      for (const { engine } of world.members) {
        fetched += engine.counts.fetched;
        taken += engine.counts.takenOver;
        assert.equal(engine.counts.lost, 0, `seed ${seed}`);
      }
    }
    assert.ok(fetched > 0 && fetched < taken, `${fetched} of ${taken} were fetched`);
  });
}

const SCENE = { members: 3, connections: 6, lines: 40, loss: 0, duplicates: 0 };
const LIMIT_MS = 60_000;

test("A16: who takes over is decided anew where the takers were in no part with most members for a while, and every connection goes on", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = new World({ ...SCENE, seed, serve: serveLines });
    world.at(300, () => world.killAndDivide(world.prng.pick(world.present), 100));
    await world.run(LIMIT_MS);
    assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
    const takenOver = world.members.reduce((sum, { engine }) => sum + engine.counts.takenOver, 0);
    assert.ok(takenOver > 0, `seed ${seed}: nothing was taken over`);
  }
});

test("A16: what is given away once every replica holds it is given away once, on whichever side of a split it came in", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const given = new Map<string, number>();
    const serve = giveLines((port, line) => {
      const name = `line ${line} of ${port}`;
      given.set(name, (given.get(name) ?? 0) + 1);
    });
    const world = new World({ ...SCENE, seed, serve });
    world.at(300, () => {
      const member = world.prng.pick(world.present);
      world.split(member);
      world.at(1500, () => world.return(member));
    });
    await world.run(LIMIT_MS);
    assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
    const twice = [...given].filter(([, times]) => times > 1).map(([name]) => name);
    assert.deepEqual(twice, [], `seed ${seed}`);
    assert.ok(given.size > 0);
  }
});

const THIN = { ...SCENE, members: 4, replicas: 1 };

test("A16: a connection whose server and only holder die at once is lost: that is counted, and its client is reset rather than left waiting; the others go on", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = new World({ ...THIN, seed, serve: serveLines });
    let hit = 0;
    world.at(300, () => {
      const places = world.clients.map((client) => ({ client, ...world.placesOf(client) }));
      const [first] = places;
      assert.ok(first !== undefined);
      const dead = [first.server, first.holders[0]];
      for (const { client, server, holders } of places) {
        client.mayBeReset = dead.includes(server) && dead.includes(holders[0]);
        hit += client.mayBeReset ? 1 : 0;
      }
      for (const member of dead) if (member !== undefined) world.kill(member);
    });
    await world.run(LIMIT_MS);
    assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
    const reset = world.clients.filter(({ wasReset }) => wasReset).length;
    const lost = world.members.reduce((sum, { engine }) => sum + engine.counts.lost, 0);
    assert.deepEqual([reset, lost], [hit, hit], `seed ${seed}`);
    assert.ok(hit > 0);
  }
});

test("A16: a connection whose server and only holder are cut off together waits for one of them, and goes on when the split ends soon", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = new World({ ...THIN, seed, serve: serveLines });
    world.at(300, () => {
      const [client] = world.clients;
      assert.ok(client !== undefined);
      const { server, holders } = world.placesOf(client);
      const apart = [server, ...holders.slice(0, 1)];
      for (const member of apart) world.split(member);
      world.at(2000, () => {
        for (const member of apart) world.return(member);
      });
    });
    await world.run(LIMIT_MS);
    assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
    const lost = world.members.reduce((sum, { engine }) => sum + engine.counts.lost, 0);
    assert.equal(lost, 0, `seed ${seed}`);
  }
});

test("A16: a member whose process hangs stands still with what it serves; after a while everybody else goes on without it", async () => {
  for (let seed = 1; seed <= 4; seed++) {
    const world = new World({ ...SCENE, seed, serve: serveLines });
    let others = 0;
    world.at(300, () => {
      const hanging = world.prng.pick(world.present);
      const isItsOwn = ({ key }: SimulatedClient): boolean =>
        hanging.engine.generationOf(key) !== undefined;
      const ofOthers = world.clients.filter((client) => !isItsOwn(client));
      others += ofOthers.length;
      world.hang(hanging);
      world.at(45_000, () => {
        const waiting = ofOthers.filter(({ isDone }) => !isDone).length;
        assert.equal(waiting, 0, `seed ${seed}: ${waiting} of others stand still`);
        world.return(hanging);
      });
    });
    await world.run(2 * LIMIT_MS);
    assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
    assert.ok(others > 0, `seed ${seed}: the others served nothing`);
    assert.ok(world.dropped > 0, `seed ${seed}: nobody was given up`);
  }
});

for (const fault of ["hangs", "does not hear one of the others"] as const) {
  test(`A16: a member that ${fault} and was left out gets what it takes over from the one that was not`, async () => {
    let fetched = 0;
    for (let seed = 1; seed <= 8; seed++) {
      const world = new World({ ...SCENE, seed, connections: 12, serve: serveLines });
      world.at(300, () => {
        const [victim, outdated] = world.present;
        if (victim === undefined || outdated === undefined) return;
        if (fault === "hangs") world.hang(outdated);
        else world.quarrel(victim, outdated);
        world.at(1700 + world.prng.below(1500), () => world.kill(victim));
        world.at(3700, () => {
          world.makeUp();
          if (fault === "hangs") world.return(outdated);
        });
      });
      await world.run(2 * LIMIT_MS);
      assert.equal(world.problem, undefined, `seed ${seed} at ${world.nowMs.toFixed(0)} ms`);
      for (const { engine } of world.members) {
        fetched += engine.counts.fetched;
        assert.equal(engine.counts.lost, 0, `seed ${seed}`);
      }
    }
    assert.ok(fetched > 0, "nothing had to be got from another member");
  });
}
