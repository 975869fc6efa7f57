// B10: who answers for which VIP: even shares, as little moved as possible, and never two at once.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip, type IpAddress } from "#base/address.ts";
import { NO_NODE, nodeId, type NodeId } from "#base/ids.ts";
import type { VipHolders } from "./tables.ts";
import {
  holdersOf,
  rankedBackups,
  stepHolders,
  uncertainAfter,
  wantedHolders,
  type DesiredHolders,
  type HolderRules,
  type HolderTable,
  type RankedVip,
} from "./vip-holders.ts";

const vipsOf = (count: number): IpAddress[] =>
  Array.from({ length: count }, (_, index) => ip(`10.0.0.${100 + index}`));
const ids = (count: number): NodeId[] => Array.from({ length: count }, (_, at) => nodeId(at + 1));
const NONE: HolderTable = new Map();

/** Nodes 1 … n with these weights; those in `down` do not serve. */
const desired = (
  vips: readonly IpAddress[],
  weights: readonly number[],
  down: readonly number[] = [],
  ranked: readonly RankedVip[] = [],
): DesiredHolders => ({
  vips,
  ranked,
  fallback: nodeId(1),
  nodes: weights.map((weight, at) => ({
    id: nodeId(at + 1),
    weight,
    serves: !down.includes(at + 1),
  })),
});

const holders = (table: HolderTable): number[] => [...table.values()].map(({ holder }) => holder);
const countsOf = (table: HolderTable, nodes: number): number[] =>
  ids(nodes).map((id) => holders(table).filter((holder) => holder === id).length);

const size = fc.record({
  vips: fc.integer({ min: 1, max: 40 }),
  nodes: fc.integer({ min: 1, max: 8 }),
});

test("B10: VIPs are balanced over the nodes that live, within one of each share", () => {
  fc.assert(
    fc.property(size, fc.array(fc.integer({ min: 1, max: 8 })), ({ vips, nodes }, downs) => {
      const weights = ids(nodes).map(() => 1);
      let table = NONE;
      for (const down of [...downs.map((id) => [id]), []]) {
        table = wantedHolders(table, desired(vipsOf(vips), weights, down));
        const living = nodes - down.filter((id) => id <= nodes).length;
        if (living === 0) continue;
        const counts = countsOf(table, nodes).filter((_, at) => !down.includes(at + 1));
        assert.ok(
          counts.every((count) => Math.abs(count - vips / living) < 1),
          counts.join(),
        );
      }
    }),
  );
});

test("B10: a death moves the dead node's VIPs and no other, and its return moves them back", () => {
  fc.assert(
    fc.property(size, fc.nat(), ({ vips, nodes }, which) => {
      fc.pre(nodes > 1);
      const dead = 1 + (which % nodes);
      const weights = ids(nodes).map(() => 1);
      const before = wantedHolders(NONE, desired(vipsOf(vips), weights));
      const during = wantedHolders(before, desired(vipsOf(vips), weights, [dead]));
      const after = wantedHolders(during, desired(vipsOf(vips), weights));
      for (const [vip, { holder }] of before) {
        const now = during.get(vip)?.holder;
        if (holder === dead) assert.notEqual(now, dead);
        else assert.equal(now, holder);
      }
      assert.deepEqual(after, before);
    }),
  );
});

test("B10: shares follow weights, and the same again changes nothing", () => {
  const first = wantedHolders(NONE, desired(vipsOf(8), [1, 2, 1, 0]));
  assert.deepEqual(countsOf(first, 4), [2, 4, 2, 0]);
  assert.deepEqual(wantedHolders(first, desired(vipsOf(8), [1, 2, 1, 0])), first);
});

test("B10: a VIP with a list is at the first node of it that serves, then at any", () => {
  const vips = vipsOf(3);
  const [vip = ip("10.0.0.100")] = vips;
  const ranked = [{ vip, nodes: [nodeId(3), nodeId(2)] }];
  const at = (down: readonly number[], before = NONE): HolderTable =>
    wantedHolders(before, desired(vips, [1, 1, 1], down, ranked));
  assert.equal(at([]).get(vip)?.holder, 3);
  assert.equal(at([3]).get(vip)?.holder, 2);
  const left = at([2, 3]);
  assert.equal(left.get(vip)?.holder, 1);
  const backups = rankedBackups(at([]), desired(vips, [1, 1, 1], [], ranked), 8);
  assert.deepEqual(backups.get(vip), [2, 1]);
});

test("B10: where VIPs stay, a node that returns gets none of its own back, and only what dies moves", () => {
  fc.assert(
    fc.property(size, fc.nat(), ({ vips, nodes }, which) => {
      fc.pre(nodes > 1);
      const dead = 1 + (which % nodes);
      const weights = ids(nodes).map(() => 1);
      const staying = (down: readonly number[] = []): DesiredHolders => ({
        ...desired(vipsOf(vips), weights, down),
        stays: true,
      });
      const before = wantedHolders(NONE, staying());
      const even = countsOf(before, nodes);
      assert.ok(
        even.every((count) => Math.abs(count - vips / nodes) < 1),
        even.join(),
      );
      const during = wantedHolders(before, staying([dead]));
      for (const [vip, { holder }] of before) {
        const now = during.get(vip)?.holder;
        if (holder === dead) assert.notEqual(now, dead);
        else assert.equal(now, holder);
      }
      assert.deepEqual(holders(wantedHolders(during, staying())), holders(during));
    }),
  );
});

test("B10: where VIPs stay, one with a list leaves a node of it only for a new list, or when that dies", () => {
  const vips = vipsOf(2);
  const [vip = ip("10.0.0.100")] = vips;
  const after = (
    before: HolderTable,
    nodes: readonly number[],
    down: readonly number[] = [],
    isNew = false,
  ): HolderTable =>
    wantedHolders(before, {
      ...desired(vips, [1, 1, 1], down, [{ vip, nodes: nodes.map(nodeId) }]),
      stays: true,
      ...(isNew ? { relisted: new Set([vip]) } : {}),
    });
  const first = after(NONE, [3, 2]);
  assert.equal(first.get(vip)?.holder, 3);
  const died = after(first, [3, 2], [3]);
  assert.equal(died.get(vip)?.holder, 2);
  const back = after(died, [3, 2]);
  assert.equal(back.get(vip)?.holder, 2);
  assert.equal(after(back, [3, 2], [], true).get(vip)?.holder, 3, "an operator's list counts");
});

test("B10: backups are those that would have the VIP, each once, however many die", () => {
  fc.assert(
    fc.property(size, ({ vips, nodes }) => {
      const all = desired(
        vipsOf(vips),
        ids(nodes).map(() => 1),
      );
      const table = wantedHolders(NONE, all);
      const ranked = rankedBackups(table, all, 8);
      for (const vip of all.vips) {
        const backups = ranked.get(vip) ?? [];
        assert.equal(backups.length, nodes - 1);
        assert.equal(new Set([...backups, table.get(vip)?.holder]).size, nodes);
      }
    }),
  );
});

const VIP = ip("10.0.0.100");
const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const RULES: HolderRules = {
  self: N1,
  members: new Set([N1, N2, N3]),
  behind: new Set(),
  frozen: false,
  released: true,
  mayLetGo: true,
  isNew: false,
  wasHeir: true,
  uncertain: new Map(),
};
const at = (holder: NodeId): HolderTable => new Map([[VIP, { holder, home: N1 }]]);
const next = (before: NodeId, wanted: NodeId, rules: Partial<HolderRules>): number | undefined =>
  stepHolders(at(before), at(wanted), [VIP], { ...RULES, ...rules }).holders[0];
const letGo = (last: NodeId | "anybody"): Partial<HolderRules> => ({
  uncertain: new Map([[VIP, last]]),
});

test("B10: from one living node to another a VIP goes through nobody's hands", () => {
  const cases: readonly (readonly [string, NodeId, NodeId, Partial<HolderRules>, number])[] = [
    ["it stays where it should be", N2, N2, {}, 2],
    ["a living holder lets go", N2, N3, {}, 0],
    ["not in a publication that nobody acknowledges first", N2, N3, { mayLetGo: false }, 2],
    ["not while the holder is behind", N2, N3, { behind: new Set([N2]) }, 2],
    ["not while the heir is behind", N2, N3, { frozen: true }, 2],
    ["a dead holder's goes at once", N2, N3, { members: new Set([N1, N3]) }, 3],
    ["let go, not yet acknowledged", NO_NODE, N3, { ...letGo(N2), released: false }, 0],
    ["let go and acknowledged", NO_NODE, N3, letGo(N2), 3],
    [
      "its last holder did not acknowledge",
      NO_NODE,
      N3,
      { ...letGo(N2), behind: new Set([N2]) },
      2,
    ],
    ["the heir did not acknowledge", NO_NODE, N3, { ...letGo(N2), frozen: true }, 2],
    [
      "its last holder is dead",
      NO_NODE,
      N3,
      { ...letGo(N2), behind: new Set([N2]), members: new Set([N1, N3]) },
      3,
    ],
    ["anybody may have it, all have acknowledged", NO_NODE, N3, letGo("anybody"), 3],
    [
      "anybody may have it, one has not acknowledged",
      NO_NODE,
      N3,
      { ...letGo("anybody"), behind: new Set([N2]) },
      0,
    ],
    ["a new master takes a dead node's", N2, N3, { isNew: true, members: new Set([N1, N3]) }, 1],
    ["a new master leaves the others'", N2, N3, { isNew: true, mayLetGo: false }, 2],
    ["a new master does not know who has what was let go", NO_NODE, N3, { isNew: true }, 0],
    ["one that was not the heir knows of nobody", N2, N2, { isNew: true, wasHeir: false }, 0],
  ];
  for (const [what, before, wanted, rules, expected] of cases) {
    assert.equal(next(before, wanted, rules), expected, what);
  }
});

test("B10: a VIP that nobody had before goes to its holder at once", () => {
  const first = stepHolders(NONE, at(N3), [VIP], RULES);
  assert.deepEqual(first, { holders: [N3], homes: [N1] } satisfies VipHolders);
});

test("B10: what was let go stays uncertain until it is given", () => {
  const known = { uncertain: new Map(), isNew: false };
  const after = uncertainAfter(at(N2), at(NO_NODE), known);
  assert.deepEqual([...after], [[VIP, N2]]);
  const still = uncertainAfter(at(NO_NODE), at(NO_NODE), { ...known, uncertain: after });
  assert.deepEqual([...still], [[VIP, N2]]);
  assert.deepEqual([...uncertainAfter(at(NO_NODE), at(N3), { ...known, uncertain: after })], []);
  const taken = uncertainAfter(at(N2), at(NO_NODE), { ...known, isNew: true });
  assert.deepEqual([...taken], [[VIP, "anybody"]]);
});

test("B10: without a word in the tables all VIPs are the master's", () => {
  assert.deepEqual(holders(holdersOf({ vips: vipsOf(2) }, N2)), [2, 2]);
});
