// The table of paths: even, and nothing moves that need not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { MAX_PATHS, NO_PATH, PATH_CHOICES, pathOf, spreadOver } from "./spread.ts";

const sharesOf = (spread: Uint8Array): Map<number, number> => {
  const shares = new Map<number, number>();
  for (const path of spread) shares.set(path, (shares.get(path) ?? 0) + 1);
  return shares;
};

/** Every set of working paths out of so many. */
const subsets = (count: number): Set<number>[] =>
  Array.from(
    { length: 2 ** count },
    (_, bits) =>
      new Set(Array.from({ length: count }, (_, i) => i + 1).filter((p) => bits & (1 << (p - 1)))),
  );

test("B11: with every path working each has its even share; with none there is no path", () => {
  for (let count = 1; count <= MAX_PATHS; count++) {
    const all = new Set(Array.from({ length: count }, (_, index) => index + 1));
    const shares = [...sharesOf(spreadOver(all, count)).values()];
    assert.equal(shares.length, count);
    assert.ok(Math.max(...shares) - Math.min(...shares) <= 1, String(shares));
    assert.deepEqual([...sharesOf(spreadOver(new Set(), count)).keys()], [NO_PATH]);
  }
});

test("B11: a path that fails moves its own entries only, and never to a path that does not work", () => {
  for (let count = 2; count <= MAX_PATHS; count++) {
    for (const working of subsets(count)) {
      const before = spreadOver(working, count);
      for (const path of working) {
        const left = new Set([...working].filter((other) => other !== path));
        const after = spreadOver(left, count);
        for (let entry = 0; entry < PATH_CHOICES; entry++) {
          const [was, is] = [pathOf(before, entry), pathOf(after, entry)];
          if (was !== path) assert.equal(is, was, `entry ${entry} moved although ${was} works`);
          else assert.ok(left.size === 0 ? is === NO_PATH : left.has(is));
        }
      }
    }
  }
});

test("B11: what a failed path leaves behind is spread over all that work", () => {
  for (let count = 3; count <= MAX_PATHS; count++) {
    const left = new Set(Array.from({ length: count - 1 }, (_, index) => index + 2));
    const shares = sharesOf(spreadOver(left, count));
    assert.equal(shares.size, count - 1, "each of them has some");
    assert.ok(Math.max(...shares.values()) <= (2 * PATH_CHOICES) / (count - 1));
  }
});
