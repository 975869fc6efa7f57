// A8: balancing comes to an end, ends balanced, follows load that shifts, and is not driven by noise.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeId } from "#base/ids.ts";
import { Prng } from "#base/prng.ts";
import { nextMove, TOLERANCE, type Move } from "./balance.ts";
import { LoadEstimate } from "./load-estimate.ts";
import { loadByNode, weighed } from "./measured-ownership.ts";
import type { DesiredNode } from "./next-tables.ts";

const nodes = (weights: readonly number[]): DesiredNode[] =>
  weights.map((weight, index) => ({ id: nodeId(index + 1), weight, serves: true }));

const anySlot = (): boolean => true;

/** Moves slots until nothing is gained. */
function balance(owners: Uint16Array, loads: Float64Array, serving: DesiredNode[]): Move[] {
  const moves: Move[] = [];
  for (;;) {
    const move = nextMove({ owners, loads, serving, mayMove: anySlot });
    if (move === undefined) return moves;
    owners[move.slot] = move.to;
    moves.push(move);
    assert.ok(moves.length <= 50_000, "balancing never ends");
  }
}

const scaledLoads = (
  owners: Uint16Array,
  loads: Float64Array,
  serving: readonly DesiredNode[],
): number[] => {
  const sums = loadByNode(owners, loads);
  return serving.map(({ id, weight }) => (sums[id] ?? 0) / weight);
};

const scaledOf = (sums: Float64Array, { id, weight }: DesiredNode): number =>
  (sums[id] ?? 0) / weight;

const weightLists = fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 6 });
const slotLoads = fc.array(fc.integer({ min: 0, max: 1000 }), { minLength: 8, maxLength: 64 });

test("A8: by count, K moves one to J exactly while K − 1 ≥ J + 1", () => {
  const serving = nodes([1, 1]);
  const loads = new Float64Array(8).fill(1);
  const uneven = Uint16Array.from([1, 1, 1, 1, 1, 2, 2, 2]);
  assert.deepEqual(nextMove({ owners: uneven, loads, serving, mayMove: anySlot }), {
    slot: 0,
    from: 1,
    to: 2,
  });
  const even = Uint16Array.from([1, 1, 1, 1, 2, 2, 2]);
  assert.equal(
    nextMove({ owners: even, loads: loads.slice(1), serving, mayMove: anySlot }),
    undefined,
  );
});

test("A8: by count, balancing ends with no pair of members two slots apart for their weights", () => {
  fc.assert(
    fc.property(
      weightLists,
      fc.array(fc.nat({ max: 5 }), { minLength: 1, maxLength: 200 }),
      (weights, picks) => {
        const serving = nodes(weights);
        const owners = Uint16Array.from(picks, (pick) => 1 + (pick % weights.length));
        const loads = new Float64Array(owners.length).fill(1);
        balance(owners, loads, serving);
        const sums = loadByNode(owners, loads);
        const mean = owners.length / weights.reduce((sum, weight) => sum + weight, 0);
        const order = serving.toSorted(
          (a, b) => scaledOf(sums, a) - scaledOf(sums, b) || a.id - b.id,
        );
        const j = order[0];
        assert.ok(j);
        for (const k of order.slice(1)) {
          const [after, before] = [
            ((sums[k.id] ?? 0) - 1) / k.weight,
            ((sums[j.id] ?? 0) + 1) / j.weight,
          ];
          const most = Math.max(...serving.map((node) => scaledOf(sums, node)));
          const near = most - scaledOf(sums, j) <= TOLERANCE * mean;
          assert.ok(after < before || near, `${k.id} and ${j.id}`);
        }
      },
    ),
  );
});

test("A8: every move brings the members nearer, whatever the loads and weights; so moves end", () => {
  fc.assert(
    fc.property(weightLists, slotLoads, fc.nat(), (weights, list, seed) => {
      const serving = nodes(weights);
      const prng = new Prng(seed);
      const loads = Float64Array.from(list);
      const owners = Uint16Array.from(list, () => 1 + prng.below(weights.length));
      const energy = (): number => {
        const sums = loadByNode(owners, loads);
        return serving.reduce((sum, { id, weight }) => sum + (sums[id] ?? 0) ** 2 / weight, 0);
      };
      for (let moves = 0; moves < 5000; moves++) {
        const move = nextMove({ owners, loads, serving, mayMove: anySlot });
        if (move === undefined) return;
        const before = energy();
        assert.equal(owners[move.slot], move.from);
        owners[move.slot] = move.to;
        assert.ok(energy() < before, "a move that does not help");
      }
      assert.fail("balancing never ends");
    }),
  );
});

test("A8: many slots of like load end within the tolerance, in the ratio of the weights", () => {
  fc.assert(
    fc.property(weightLists, fc.nat(), (weights, seed) => {
      const serving = nodes(weights);
      const prng = new Prng(seed);
      const loads = Float64Array.from({ length: 1024 }, () => 50 + prng.below(100));
      const owners = new Uint16Array(1024).fill(1);
      balance(owners, loads, serving);
      const scaled = scaledLoads(owners, loads, serving);
      const mean = scaled.reduce((sum, load) => sum + load, 0) / scaled.length;
      // the last step cannot be finer than a slot
      const slack = TOLERANCE * mean + 300;
      assert.ok(Math.max(...scaled) - Math.min(...scaled) <= slack, scaled.join());
    }),
    { numRuns: 30 },
  );
});

test("A8: one slot that is most of the load stays; the others make room for it", () => {
  const serving = nodes([1, 1]);
  const loads = Float64Array.from([1000, 10, 10, 10]);
  const owners = Uint16Array.from([1, 1, 1, 1]);
  const moves = balance(owners, loads, serving);
  assert.equal(owners[0], 1);
  assert.deepEqual(
    moves.map(({ slot }) => slot),
    [],
  );
  // 10 is less than a tenth of the mean slot: not worth a move
  const heavier = Float64Array.from([1000, 100, 100, 100]);
  balance(owners, heavier, serving);
  assert.deepEqual([...owners], [1, 2, 2, 2]);
});

test("A8: a slot that may not move stays, and another one goes instead", () => {
  const owners = Uint16Array.from([1, 1, 1, 2]);
  const loads = Float64Array.from([8, 6, 5, 1]);
  const move = nextMove({ owners, loads, serving: nodes([1, 1]), mayMove: (slot) => slot !== 0 });
  assert.equal(move?.slot, 1);
});

test("A8: an idle group is balanced by count, so a returning node is filled", () => {
  const owners = Uint16Array.from({ length: 12 }, () => 1);
  balance(owners, weighed(new Float64Array(12), 12), nodes([1, 1, 1]));
  assert.deepEqual(
    [1, 2, 3].map((id) => owners.filter((owner) => owner === id).length),
    [4, 4, 4],
  );
});

/** Rounds of two seconds: members report, then one move. Gives the rounds in which something moved. */
function rounds(
  rate: (slot: number, round: number) => number,
  count: number,
  owners: Uint16Array,
  serving: DesiredNode[],
): number[] {
  const estimate = new LoadEstimate(owners.length);
  const moved: number[] = [];
  for (let round = 0; round < count; round++) {
    for (const { id } of serving) {
      const owned = [...owners.keys()].filter((slot) => owners[slot] === id);
      const rates = owned.map((slot) => ({ slot, rate: rate(slot, round) }));
      estimate.report((slot) => owners[slot] === id, rates);
    }
    estimate.fold();
    const loads = weighed(estimate.loads, owners.length);
    const move = nextMove({ owners, loads, serving, mayMove: anySlot });
    if (move === undefined) continue;
    owners[move.slot] = move.to;
    moved.push(round);
  }
  return moved;
}

test("A8: with steady load that is measured with noise, moves end and do not start again", () => {
  const prng = new Prng(7);
  const serving = nodes([1, 1, 1]);
  const steady = Float64Array.from({ length: 256 }, () => 20 + prng.below(80));
  const owners = Uint16Array.from(steady, (_, slot) => (slot < 200 ? 1 : 1 + (slot % 3)));
  const moved = rounds(
    (slot) => (steady[slot] ?? 0) * (0.9 + prng.below(200) / 1000),
    600,
    owners,
    serving,
  );
  assert.ok(moved.length > 50, "it had something to do");
  assert.deepEqual(
    moved.filter((round) => round > 300),
    [],
  );
});

test("A8: load that shifts to other slots is followed, and no slot goes to and fro", () => {
  const serving = nodes([1, 1, 2]);
  const owners = Uint16Array.from({ length: 64 }, (_, slot) => 1 + (slot % 3));
  const hot = (slot: number, round: number): number => {
    const phase = Math.floor(round / 200);
    return slot % 4 === phase % 4 ? 400 : 10;
  };
  const moved = rounds(hot, 800, owners, serving);
  const scaled = scaledLoads(
    owners,
    Float64Array.from({ length: 64 }, (_, slot) => hot(slot, 799)),
    serving,
  );
  const mean = scaled.reduce((sum, load) => sum + load, 0) / scaled.length;
  assert.ok(Math.max(...scaled) - Math.min(...scaled) <= 0.35 * mean, scaled.join());
  // each phase ends in rest
  for (const phase of [0, 1, 2, 3]) {
    const late = moved.filter((round) => round >= 200 * phase + 150 && round < 200 * (phase + 1));
    assert.deepEqual(late, [], `phase ${phase} never came to rest`);
  }
});

test("A8: a pause of the whole group changes nothing that was known", () => {
  const estimate = new LoadEstimate(4);
  const all = (): boolean => true;
  for (let round = 0; round < 40; round++) {
    estimate.report(all, [{ slot: 1, rate: 100 }]);
    estimate.fold();
  }
  const known = [...estimate.loads];
  assert.ok(Math.abs((known[1] ?? 0) - 100) < 1);
  estimate.report(all, []);
  for (let round = 0; round < 40; round++) estimate.fold();
  assert.deepEqual([...estimate.loads], known);
});

test("A8: a report counts for the slots that the reporter owns, and no others", () => {
  const estimate = new LoadEstimate(4);
  const rates = [0, 1, 2, 9].map((slot) => ({ slot, rate: 100 }));
  estimate.report((slot) => slot < 2, rates);
  estimate.fold();
  assert.deepEqual([...estimate.loads], [30, 30, 0, 0]);
});
