// What holds for every table (B3, B4): fair shares, no needless moves, returns, chains. Checked on random histories.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { FORMER_OWNERS } from "./tables.ts";
import { after, chainOf, counts, moved, web, type TestNode } from "./testing/desired.ts";

const NODES = 12;
const slotCount = fc.integer({ min: 1, max: 10 }).map((bits) => 2 ** bits);
const flag = fc.boolean();
const weights = fc.array(fc.integer({ min: 0, max: 9 }), { minLength: 1, maxLength: NODES });
/** Nodes 1 … n with these weights, some of which do not serve or cannot be reached. */
const state = weights.chain((list) =>
  fc
    .array(fc.tuple(flag, flag), { minLength: list.length, maxLength: list.length })
    .map((flags): TestNode[] =>
      list.map((weight, index) => {
        const [serves = true, reachable = true] = flags[index] ?? [];
        return { id: index + 1, weight, serves, reachable: reachable || serves };
      }),
    ),
);
const history = fc.array(state, { minLength: 2, maxLength: 6 });

const totalWeight = (nodes: readonly TestNode[]): number =>
  nodes.reduce((sum, { weight = 1 }) => sum + weight, 0);
const ideal = (slots: number, node: TestNode, nodes: readonly TestNode[]): number =>
  (slots * (node.weight ?? 1)) / totalWeight(nodes);
const servingOf = (nodes: readonly TestNode[]): TestNode[] =>
  nodes.filter((node) => node.serves !== false && (node.weight ?? 1) > 0);
const lastOf = (states: readonly (readonly TestNode[])[]): readonly TestNode[] =>
  states.at(-1) ?? [];

test("B3: every configuration node's home is within one slot of its ideal share", () => {
  fc.assert(
    fc.property(slotCount, history, (slots, states) => {
      const nodes = lastOf(states);
      const home = counts(web(after(slots, states).now).home);
      if (totalWeight(nodes) === 0) return assert.equal(home.get(0), slots);
      for (const node of nodes) {
        const error = Math.abs((home.get(node.id) ?? 0) - ideal(slots, node, nodes));
        assert.ok(error < 1, `node ${node.id} is ${error} slots off`);
      }
      return undefined;
    }),
  );
});

/** The fewest slots that any fair assignment moves: each node keeps what its share, rounded up if possible, allows. */
function fewestMoves(
  slots: number,
  before: Map<number, number>,
  nodes: readonly TestNode[],
): number {
  const floors = nodes.map((node) => Math.floor(ideal(slots, node, nodes) + 1e-9));
  const extra = slots - floors.reduce((sum, floor) => sum + floor, 0);
  let [kept, wishes] = [0, 0];
  nodes.forEach((node, index) => {
    const floor = floors[index] ?? 0;
    const held = before.get(node.id) ?? 0;
    kept += Math.min(held, floor);
    if (held > floor && ideal(slots, node, nodes) > floor + 1e-9) wishes++;
  });
  return slots - kept - Math.min(extra, wishes);
}

test("B3: a change of nodes or weights moves the fewest slots that a fair table can", () => {
  fc.assert(
    fc.property(slotCount, history, (slots, states) => {
      const nodes = lastOf(states);
      if (totalWeight(nodes) === 0) return;
      const { before, now } = after(slots, states);
      assert.ok(before);
      const least = fewestMoves(slots, counts(web(before).home), nodes);
      assert.equal(moved(web(before).home, web(now).home), least);
    }),
  );
});

test("B3: serving nodes own their homes and share the rest fairly", () => {
  fc.assert(
    fc.property(slotCount, history, (slots, states) => {
      const serving = servingOf(lastOf(states));
      const group = web(after(slots, states).now);
      const [home, owned] = [counts(group.home), counts(group.owners)];
      if (serving.length === 0) return assert.equal(owned.get(0), slots);
      const ids = new Set(serving.map((node) => node.id));
      group.home.forEach((id, slot) => {
        if (ids.has(id)) assert.equal(group.owners[slot], id);
      });
      const least = serving.map((node) => Math.floor(ideal(slots, node, serving) + 1e-9));
      const needed = serving.reduce(
        (sum, node, index) => sum + Math.max(least[index] ?? 0, home.get(node.id) ?? 0),
        0,
      );
      serving.forEach((node, index) => {
        const count = owned.get(node.id) ?? 0;
        assert.ok(count < ideal(slots, node, serving) + 1, `node ${node.id} owns too many`);
        if (needed <= slots)
          assert.ok(count >= (least[index] ?? 0), `node ${node.id} owns too few`);
      });
      return undefined;
    }),
  );
});

const subsets = fc.array(fc.array(flag, { minLength: NODES, maxLength: NODES }), { maxLength: 5 });

test("B3: whatever happened in between, nodes that all serve again own what they owned", () => {
  fc.assert(
    fc.property(slotCount, weights, subsets, (slots, list, series) => {
      const all = list.map((weight, index) => ({ id: index + 1, weight }));
      const partial = series.map((serves) =>
        all.map((node, index) => ({ ...node, serves: serves[index] ?? true })),
      );
      const first = web(after(slots, [all]).now);
      const last = web(after(slots, [all, ...partial, all]).now);
      assert.deepEqual(last.owners, first.owners);
      assert.deepEqual(last.home, first.home);
    }),
  );
});

test("B3: when one of N equal nodes fails or is removed, its slots move and no others", () => {
  const size = fc.integer({ min: 2, max: NODES });
  fc.assert(
    fc.property(slotCount, size, fc.nat(NODES), flag, (slots, count, pick, removed) => {
      const all = Array.from({ length: count }, (_, index) => ({ id: index + 1 }));
      const lost = 1 + (pick % count);
      const rest = removed
        ? all.filter((node) => node.id !== lost)
        : all.map((node) => ({ ...node, serves: node.id !== lost }));
      const { before, now } = after(slots, [all, rest]);
      assert.ok(before);
      const owners = web(before).owners;
      assert.equal(moved(owners, web(now).owners), counts(owners).get(lost) ?? 0);
    }),
  );
});

test("B4: chains hold the former owners, newest first, reachable, each once, never the present one", () => {
  fc.assert(
    fc.property(slotCount, history, (slots, states) => {
      const { before, now } = after(slots, states);
      assert.ok(before);
      const reachable = new Set(
        lastOf(states)
          .filter((node) => node.reachable !== false)
          .map((node) => node.id),
      );
      for (let slot = 0; slot < slots; slot++) {
        const [owner = 0, ...chain] = chainOf(web(now), slot);
        const [old = 0, ...oldChain] = chainOf(web(before), slot);
        const expected = [...new Set([old, ...oldChain])]
          .filter((node) => node !== 0 && node !== owner && reachable.has(node))
          .slice(0, FORMER_OWNERS);
        assert.deepEqual(
          chain.filter((node) => node !== 0),
          expected,
          `slot ${slot}`,
        );
        assert.deepEqual(
          chain.slice(expected.length).some((node) => node !== 0),
          false,
        );
      }
    }),
  );
});

test("B8: the same desired state again moves nothing", () => {
  fc.assert(
    fc.property(slotCount, history, (slots, states) => {
      const { before, now } = after(slots, [...states, lastOf(states)]);
      assert.deepEqual(now.groups, before?.groups);
    }),
  );
});
