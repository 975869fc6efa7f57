// Distribution tables by example: shares, stand-ins, returns and chains of former owners.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nextTables } from "./next-tables.ts";
import { after, chainOf, counts, desired, version, web } from "./testing/desired.ts";

const up = [{ id: 1 }, { id: 2 }, { id: 3 }];
const without = (id: number): { id: number; serves: boolean }[] =>
  up.map((node) => ({ ...node, serves: node.id !== id }));

test("B1: a table carries its version, services, VIPs and nodes as desired", () => {
  const tables = nextTables(undefined, desired(8, up), version(7));
  assert.deepEqual(tables.version, version(7));
  assert.deepEqual(tables.vips, ["10.0.0.100"]);
  assert.deepEqual(tables.nodes, desired(8, up).nodes);
  assert.equal(web(tables).policy, "weighted");
  assert.equal(web(tables).services.length, 1);
});

test("B3: weights set how many slots a node gets; weight 0 means none", () => {
  const { now } = after(1024, [[{ id: 1, weight: 3 }, { id: 2 }, { id: 3, weight: 0 }]]);
  assert.deepEqual(
    counts(web(now).owners),
    new Map([
      [1, 768],
      [2, 256],
    ]),
  );
});

test("B3: slots that cannot be divided go to the largest remainders, then the lowest ids", () => {
  const { now } = after(8, [up]);
  assert.deepEqual([...web(now).owners], [1, 1, 1, 2, 2, 2, 3, 3]);
});

test("B3: a node that leaves moves its slots only, and finds them again when it returns", () => {
  const { before, now } = after(1024, [up, without(2)]);
  assert.ok(before);
  web(before).owners.forEach((owner, slot) => {
    const later = web(now).owners[slot];
    if (owner === 2) assert.notEqual(later, 2);
    else assert.equal(later, owner);
  });
  assert.deepEqual(
    counts(web(now).owners),
    new Map([
      [1, 512],
      [3, 512],
    ]),
  );
  const returned = after(1024, [up, without(2), up]).now;
  assert.deepEqual(web(returned).owners, web(before).owners);
});

test("B3: a stand-in keeps its slots while another node comes and goes", () => {
  const four = [...up, { id: 4 }];
  const down = (...ids: number[]): { id: number; serves: boolean }[] =>
    four.map((node) => ({ ...node, serves: !ids.includes(node.id) }));
  const { before, now } = after(1024, [four, down(2), down(2, 3)]);
  assert.ok(before);
  web(now).home.forEach((home, slot) => {
    if (home === 2 && web(before).owners[slot] !== 3) {
      assert.equal(web(now).owners[slot], web(before).owners[slot]);
    }
  });
});

test("B7: without a serving node the slots have no owner, and remember the last one", () => {
  const down = up.map((node) => ({ ...node, serves: false }));
  const { before, now } = after(4, [up, down]);
  assert.ok(before);
  assert.deepEqual([...web(now).owners], [0, 0, 0, 0]);
  assert.deepEqual(chainOf(web(now), 0), [0, 1, 0, 0]);
  const again = after(4, [up, down, up]).now;
  assert.deepEqual(web(again).owners, web(before).owners);
  assert.deepEqual(chainOf(web(again), 0), [1, 0, 0, 0]);
});

test("B7: a node that serves but cannot be reached owns nothing", () => {
  const { now } = after(4, [[{ id: 1 }, { id: 2, reachable: false }]]);
  assert.deepEqual([...web(now).owners], [1, 1, 1, 1]);
  assert.deepEqual([...counts(web(now).home).keys()], [1, 2]);
});

test("B4: a slot remembers three former owners, newest first, each once", () => {
  const only = (id: number): { id: number; serves: boolean }[] =>
    [1, 2, 3, 4, 5].map((node) => ({ id: node, serves: node === id }));
  const series = [1, 2, 3, 4, 5, 3, 3].map(only);
  const chains = series.map((_, index) =>
    chainOf(web(after(2, series.slice(0, index + 1)).now), 0),
  );
  assert.deepEqual(chains, [
    [1, 0, 0, 0],
    [2, 1, 0, 0],
    [3, 2, 1, 0],
    [4, 3, 2, 1],
    [5, 4, 3, 2],
    [3, 5, 4, 2],
    [3, 5, 4, 2],
  ]);
});

test("B4: a node that cannot be reached any more leaves the chains", () => {
  const [one, two, three] = [1, 2, 3].map((id) =>
    [1, 2, 3].map((node) => ({ id: node, serves: node === id })),
  );
  assert.ok(one && two && three);
  const gone = three.map((node) => ({ ...node, reachable: node.id !== 2 }));
  assert.deepEqual(chainOf(web(after(2, [one, two, three]).now), 0), [3, 2, 1, 0]);
  assert.deepEqual(chainOf(web(after(2, [one, two, three, gone]).now), 0), [3, 1, 0, 0]);
  assert.deepEqual(chainOf(web(after(2, [one, two, gone]).now), 0), [3, 1, 0, 0]);
});

test("B8: the same desired state again changes nothing but the version", () => {
  const { before, now } = after(64, [up, without(3), without(3)]);
  assert.ok(before);
  assert.deepEqual(now.groups, before.groups);
  assert.notDeepEqual(now.version, before.version);
});

test("B8: more slots leave every flow with its owner", () => {
  const before = nextTables(undefined, desired(16, without(2)), version(1));
  const now = nextTables(before, desired(64, without(2)), version(2));
  assert.equal(web(now).owners.length, 64);
  const old = web(before).owners;
  const same = web(now).owners.filter((owner, slot) => owner === old[slot % 16]).length;
  assert.ok(same >= 64 - 4, `${same} of 64 slots kept their owner`);
  assert.equal(web(now).former.length, 192);
});

test("B8: fewer slots remember the owners that were merged away", () => {
  const before = nextTables(undefined, desired(4, [{ id: 1 }, { id: 2 }]), version(1));
  assert.deepEqual([...web(before).owners], [1, 1, 2, 2]);
  const now = nextTables(before, desired(2, [{ id: 1 }, { id: 2 }]), version(2));
  const slots = [0, 1].map((slot) => chainOf(web(now), slot));
  for (const chain of slots) assert.deepEqual(new Set(chain), new Set([0, 1, 2]));
});

test("B8: a group that is gone is forgotten; a new one starts without history", () => {
  const before = after(4, [up, without(1)]).now;
  const wanted = desired(4, up);
  const renamed = { ...wanted, groups: wanted.groups.map((group) => ({ ...group, name: "new" })) };
  const { groups } = nextTables(before, renamed, version(9));
  assert.deepEqual(
    groups.map((group) => group.name),
    ["new"],
  );
  assert.deepEqual(
    [...(groups[0]?.former ?? [])],
    Array.from({ length: 12 }, () => 0),
  );
});

test("B8: a number of slots that is no power of two is our own mistake", () => {
  for (const slots of [0, 1, 3, 131_072]) {
    assert.throws(() => nextTables(undefined, desired(slots, up), version(1)), /power of two/);
  }
});
