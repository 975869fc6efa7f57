// What health makes of a group's table: parts of a share (slow start), an order of preference, a node that stands in for all.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeId } from "#base/ids.ts";
import { type Desired, type DesiredGroup, type DesiredNode, nextTables } from "./next-tables.ts";
import type { Tables } from "./tables.ts";
import { counts, desired, moved, version, web } from "./testing/desired.ts";

type Row = { id: number; weight?: number; serves?: boolean; part?: number };

function wish(slots: number, rows: readonly Row[], more: Partial<DesiredGroup> = {}): Desired {
  const base = desired(slots, rows);
  const nodes = rows.map(({ id, weight = 1, serves = true, part }): DesiredNode => ({
    id: nodeId(id),
    weight,
    serves,
    ...(part === undefined ? {} : { part }),
  }));
  return { ...base, groups: base.groups.map((group) => ({ ...group, nodes, ...more })) };
}

/** The tables after each of these states. */
function series(
  slots: number,
  states: readonly (readonly Row[])[],
  more?: Partial<DesiredGroup>,
): Tables[] {
  const result: Tables[] = [];
  for (const rows of states) {
    result.push(nextTables(result.at(-1), wish(slots, rows, more), version(result.length + 1)));
  }
  return result;
}

test("B7: slow start: a node gets its part of its share, of its own slots, and all of them in the end", () => {
  const parts = [10, 20, 50, 90, 100];
  const all: readonly Row[] = [{ id: 1 }, { id: 2 }, { id: 3 }];
  const states = [
    all,
    [{ id: 1 }, { id: 2, serves: false }, { id: 3 }],
    ...parts.map((part) => [{ id: 1 }, { id: 2, part }, { id: 3 }]),
  ];
  const [first, , ...ramp] = series(1024, states);
  assert.ok(first);
  const held = ramp.map((tables) => counts(web(tables).owners).get(2) ?? 0);
  // 1024 · part / (200 + part), and 1024 / 3 at last
  assert.deepEqual(held, [49, 93, 205, 318, 341]);
  assert.deepEqual(
    web(ramp.at(-1) as Tables).owners,
    web(first).owners,
    "it has its old slots back",
  );
  const steps = ramp
    .slice(1)
    .map((tables, index) => moved(web(tables).owners, web(ramp[index] as Tables).owners));
  assert.deepEqual(steps, [44, 112, 113, 23], "each step moves only what the node gains");
});

test("B7: slow start: nodes that all start in the same moment share by their weights", () => {
  const rows = [
    { id: 1, weight: 2, part: 10 },
    { id: 2, weight: 1, part: 10 },
  ];
  const [tables] = series(32, [rows]);
  assert.deepEqual(
    [...counts(web(tables as Tables).owners)].toSorted(([a], [b]) => a - b),
    [
      [1, 21],
      [2, 11],
    ],
  );
});

test("B7: slow start: every slot has an owner that serves, whatever parts and weights are (500 random groups)", () => {
  const row = fc.record({
    weight: fc.integer({ min: 0, max: 9 }),
    serves: fc.boolean(),
    part: fc.integer({ min: 1, max: 100 }),
  });
  const rows = fc.array(row, { minLength: 1, maxLength: 6 });
  fc.assert(
    fc.property(fc.array(rows, { minLength: 1, maxLength: 4 }), (states) => {
      const numbered = states.map((state) =>
        state.map((each, index) => ({ ...each, id: index + 1 })),
      );
      series(64, numbered).forEach((tables, index) => {
        const able = (numbered[index] ?? []).filter(({ serves, weight }) => serves && weight > 0);
        const owners = new Set(web(tables).owners);
        for (const owner of owners) {
          assert.ok(able.length === 0 ? owner === 0 : able.some(({ id }) => id === owner));
        }
      });
    }),
    { numRuns: 500 },
  );
});

test("B3: failover: the first node of the list that serves has all slots, and gets them back", () => {
  const order = (serving: readonly number[]): Row[] =>
    [3, 1, 2].map((id) => ({ id, serves: serving.includes(id) }));
  const tables = series(16, [[1, 2, 3], [1, 2], [2], [2, 3], []].map(order), { ordered: true });
  const owners = tables.map((each) => [...counts(web(each).owners)]);
  assert.deepEqual(owners, [[[3, 16]], [[1, 16]], [[2, 16]], [[3, 16]], [[0, 16]]]);
  assert.ok(tables.every((each) => web(each).home.every((home) => home === 3)));
});

test("B3: failover: a node of weight 0 is passed over", () => {
  const rows = [{ id: 1, weight: 0 }, { id: 2 }];
  const [tables] = series(16, [rows], { ordered: true });
  assert.deepEqual([...counts(web(tables as Tables).owners)], [[2, 16]]);
});

test("B7: a sorry node has all slots while nobody serves, and none otherwise; homes stay", () => {
  const rows = (serves: boolean): Row[] => [
    { id: 1, serves },
    { id: 2, serves },
    { id: 3, weight: 0 },
  ];
  const [before, none, after] = series(16, [rows(true), rows(false), rows(true)], {
    sorry: nodeId(3),
  });
  assert.ok(before && none && after);
  assert.deepEqual([...counts(web(none).owners)], [[3, 16]]);
  assert.deepEqual(web(none).home, web(before).home);
  assert.deepEqual(web(after).owners, web(before).owners);
});

test("B7: packets of a group that answers while nobody serves are held for the agent, and only then", () => {
  const states = [[{ id: 1 }], [{ id: 1, serves: false }], [{ id: 1 }]];
  const answered = series(16, states, { answer: "reset" });
  assert.deepEqual(
    answered.map((each) => web(each).holds),
    [false, true, false],
  );
  assert.deepEqual(
    answered.map((each) => web(each).answer),
    [undefined, "reset", undefined],
  );
  const silent = series(16, states);
  assert.deepEqual(
    silent.map((each) => web(each).holds),
    [false, false, false],
  );
});

test("B7: slots of a lazy group that only wait for packets are not answered", () => {
  const lazy = { answer: "reset", assignment: "lazy" } as const;
  const [waiting] = series(16, [[{ id: 1 }]], lazy);
  assert.deepEqual([...counts(web(waiting as Tables).owners)], [[0, 16]]);
  assert.deepEqual(
    [web(waiting as Tables).holds, web(waiting as Tables).answer],
    [true, undefined],
  );
});
