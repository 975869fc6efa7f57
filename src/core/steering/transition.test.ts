// The steps in which slots move, as a table: what is published, what is wanted, what is known → what is published next.
// Whole clusters in which messages are late and members die: src/core/node/two-phases.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { nextTables } from "./next-tables.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";
import { concerned } from "./in-turn.ts";
import { lettingGo, stepTowards, type StepRules } from "./transition.ts";
import { chainOf, desired, version, web } from "./testing/desired.ts";

/** One slot: owner, then former owners. */
type Chain = readonly number[];

function tables(slots: readonly Chain[], home: readonly number[]): Tables {
  const base = nextTables(
    undefined,
    desired(
      2,
      [1, 2, 3].map((id) => ({ id })),
    ),
    version(1),
  );
  const former = new Uint16Array(slots.length * FORMER_OWNERS);
  slots.forEach((chain, slot) => former.set(chain.slice(1), slot * FORMER_OWNERS));
  const group: GroupTable = {
    ...web(base),
    owners: Uint16Array.from(slots, ([owner = 0]) => owner),
    former,
    home: Uint16Array.from(home),
  };
  return { ...base, groups: [group] };
}

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const rules = (change: Partial<StepRules> = {}): StepRules => ({
  self: N3,
  filtered: true,
  members: new Set([N1, N2, N3]),
  ready: change.members ?? new Set([N1, N2, N3]),
  uncertain: new Map(),
  released: true,
  mayLetGo: true,
  behind: new Set(),
  frozen: false,
  isNew: false,
  ...change,
});
const MASTER_DIED = { members: new Set([N2, N3]), isNew: true, mayLetGo: false } as const;
const uncertain = new Map([["web", new Set([0, 1, 2, 3])]]);

interface Row {
  readonly title: string;
  readonly now: Chain;
  readonly wanted: number;
  readonly rules?: Partial<StepRules>;
  readonly next: Chain;
}

const table: readonly Row[] = [
  {
    title: "one node forwards: a slot moves in one step",
    now: [1],
    wanted: 2,
    rules: { filtered: false },
    next: [2, 1],
  },
  {
    title: "one node forwards: who is behind is given nothing that lives elsewhere",
    now: [1],
    wanted: 2,
    rules: { filtered: false, behind: new Set([N2]) },
    next: [1],
  },
  {
    title: "one node forwards: who is behind is given what a dead member had",
    now: [3],
    wanted: 2,
    rules: { filtered: false, members: new Set([N1, N2]), behind: new Set([N2]) },
    next: [2, 3],
  },
  { title: "its owner lets go first", now: [1], wanted: 2, next: [0, 1] },
  {
    title: "what was let go is not given before that is acknowledged",
    now: [0, 1],
    wanted: 2,
    rules: { uncertain, released: false },
    next: [0, 1],
  },
  { title: "then it is given", now: [0, 1], wanted: 2, rules: { uncertain }, next: [2, 1] },
  {
    title: "a dead owner's slot is given at once",
    now: [3],
    wanted: 2,
    rules: { members: new Set([N1, N2]), mayLetGo: false },
    next: [2, 3],
  },
  {
    title: "nothing is let go while a death is urgent",
    now: [1],
    wanted: 2,
    rules: { mayLetGo: false },
    next: [1],
  },
  {
    title: "who is behind keeps what it had",
    now: [0, 1],
    wanted: 2,
    rules: { uncertain, behind: new Set([N1]) },
    next: [1],
  },
  {
    title: "who is behind is asked for nothing",
    now: [1],
    wanted: 2,
    rules: { behind: new Set([N1]) },
    next: [1],
  },
  {
    title: "who is behind is given nothing",
    now: [1],
    wanted: 2,
    rules: { behind: new Set([N2]) },
    next: [1],
  },
  {
    title: "the new owner is behind: the old one gets the slot back",
    now: [0, 1],
    wanted: 2,
    rules: { uncertain, behind: new Set([N2]) },
    next: [1],
  },
  {
    title: "the next master is behind: the old owner gets the slot back",
    now: [0, 1],
    wanted: 2,
    rules: { uncertain, frozen: true },
    next: [1],
  },
  {
    title: "the next master is behind: nothing is let go",
    now: [1],
    wanted: 2,
    rules: { frozen: true },
    next: [1],
  },
  {
    title: "the next master is behind: a slot that nobody serves is given all the same",
    now: [0, 1],
    wanted: 2,
    rules: { frozen: true },
    next: [2, 1],
  },
  {
    title: "a slot that never had an owner is given at once",
    now: [0],
    wanted: 2,
    rules: { uncertain, released: false },
    next: [2],
  },
  {
    title: "lazy: a slot of a living member is let go and stays so",
    now: [0, 1],
    wanted: 0,
    rules: { uncertain },
    next: [0, 1],
  },
  {
    title: "nobody is to have it, but who is behind may still serve it",
    now: [0, 1],
    wanted: 0,
    rules: { uncertain, behind: new Set([N1]) },
    next: [1],
  },
  {
    title: "a new master looks for connections where the slot was meant to go",
    now: [0, 1],
    wanted: 2,
    rules: { uncertain, released: false, isNew: true },
    next: [0, 2, 1],
  },
  {
    title:
      "a new master takes a slot of the master that is dead itself: nobody else knows of it yet",
    now: [1],
    wanted: 2,
    rules: { ...MASTER_DIED, standsIn: { by: N3, forMaster: N1 } },
    next: [3, 1],
  },
  {
    title: "not one of another dead member: its master may have given it away before it died",
    now: [1],
    wanted: 2,
    rules: { ...MASTER_DIED, standsIn: { by: N3, forMaster: nodeId(4) } },
    next: [2, 1],
  },
  {
    title: "nor one of a group that it does not serve",
    now: [1],
    wanted: 2,
    rules: { ...MASTER_DIED, standsIn: { by: nodeId(4), forMaster: N1 } },
    next: [2, 1],
  },
  {
    title: "what it took in the meantime goes the way of every planned change",
    now: [3],
    wanted: 2,
    rules: { members: new Set([N2, N3]) },
    next: [0, 3],
  },
];

for (const row of table) {
  test(`A15, A8: ${row.title}`, () => {
    const rest: Chain[] = [[3], [3], [3]];
    const now = tables([row.now, ...rest], [row.wanted === 0 ? 1 : row.wanted, 3, 3, 3]);
    const members = row.rules?.members;
    const others = members === undefined || members.has(N3) ? 3 : 1;
    const wanted = tables([[row.wanted], [others], [others], [others]], [row.wanted, 3, 3, 3]);
    const next = web(stepTowards(now, wanted, rules(row.rules)));
    const chain = chainOf(next, 0);
    assert.deepEqual(chain, [...row.next, 0, 0, 0].slice(0, 4));
  });
}

test("A15: packets are held while a slot is on its way, and not in a group in which nothing moves", () => {
  const still = tables([[1], [2]], [1, 2]);
  assert.equal(web(stepTowards(still, still, rules())).holds, false);
  const moves = tables([[2], [2]], [2, 2]);
  assert.equal(web(stepTowards(still, moves, rules())).holds, true);
});

test("B4: what a departed member had goes to the master at first, where the one it is meant for is behind", () => {
  const now = tables([[1], [3]], [2, 3]);
  const wanted = tables([[2], [3]], [2, 3]);
  const left = { members: new Set([N2, N3]), behind: new Set([N2]) };
  for (const filtered of [false, true]) {
    const next = web(stepTowards(now, wanted, rules({ ...left, filtered })));
    assert.deepEqual(chainOf(next, 0), [3, 1, 0, 0]);
  }
  const later = web(stepTowards(now, wanted, rules({ ...left, behind: new Set() })));
  assert.deepEqual(chainOf(later, 0), [2, 1, 0, 0]);
});

test("A15: slots that are to become one move to one owner first", () => {
  const wanted = tables([[1], [2]], [1, 2]);
  const step = (now: Tables): Tables => stepTowards(now, wanted, rules());
  const letGo = step(tables([[1], [2], [1], [3]], [1, 2, 1, 3]));
  assert.deepEqual([...web(letGo).owners], [1, 2, 1, 0]);
  assert.deepEqual(chainOf(web(letGo), 3), [0, 3, 0, 0]);
  const given = step(letGo);
  assert.deepEqual([...web(given).owners], [1, 2, 1, 2]);
  const shrunk = web(step(given));
  assert.deepEqual([...shrunk.owners], [1, 2]);
  assert.deepEqual(chainOf(shrunk, 1), [2, 3, 0, 0]);
});

test("A15: nobody gains and loses slots in one version: the second one waits for the next", () => {
  const now = tables([[0, 1], [0, 2], [3], [3]], [2, 1, 3, 3]);
  const wanted = tables([[2], [1], [3], [3]], [2, 1, 3, 3]);
  const first = stepTowards(now, wanted, rules());
  assert.deepEqual([...web(first).owners], [2, 0, 3, 3]);
  assert.deepEqual(chainOf(web(first), 1), [0, 2, 0, 0]);
  assert.deepEqual([...web(stepTowards(first, wanted, rules())).owners], [2, 1, 3, 3]);
});

test("A15: who gets a dead member's slots keeps what it has let go until the next version", () => {
  const now = tables([[1], [0, 2], [3], [3]], [1, 3, 3, 3]);
  const wanted = tables([[2], [3], [3], [3]], [1, 3, 3, 3]);
  const next = stepTowards(now, wanted, rules({ members: new Set([N2, N3]), mayLetGo: false }));
  assert.deepEqual([...web(next).owners], [2, 0, 3, 3]);
});

test("A15: who may be serving a slot because it is behind is named its owner in any case", () => {
  const now = tables([[0, 1, 2], [0, 2], [3], [3]], [3, 1, 3, 3]);
  const wanted = tables([[3], [1], [3], [3]], [3, 1, 3, 3]);
  const next = web(stepTowards(now, wanted, rules({ uncertain, behind: new Set([N2]) })));
  assert.deepEqual([...next.owners], [2, 2, 3, 3]);
});

test("A15: the master keeps what comes for slots whose former owner has gone", () => {
  const now = tables([[0, 1], [0, 2, 1], [0], [3]], [1, 2, 2, 3]);
  const nobody = tables([[0], [0], [0], [3]], [1, 2, 2, 3]);
  const next = web(stepTowards(now, nobody, rules({ members: new Set([N2, N3]) })));
  assert.deepEqual(chainOf(next, 0), [0, 3, 1, 0]);
  assert.deepEqual(chainOf(next, 1), [0, 2, 1, 0]);
  assert.deepEqual(chainOf(next, 2), [0, 0, 0, 0]);
});

test("A15: a chain without room names the master and forgets the oldest", () => {
  const now = tables([[0, 1, 2, 4], [3], [3], [3]], [1, 3, 3, 3]);
  const base = tables([[0], [3], [3], [3]], [1, 3, 3, 3]);
  const row = { id: nodeId(4), mac: base.nodes[0]?.mac ?? ("" as never) };
  const wanted = { ...base, nodes: [...base.nodes, row] };
  const next = web(stepTowards(now, wanted, rules({ members: new Set([N2, N3]) })));
  assert.deepEqual(chainOf(next, 0), [0, 3, 1, 2]);
});

test("A15: what was let go stays uncertain through the versions that follow", () => {
  const [one, two] = [tables([[1], [2]], [2, 2]), tables([[0, 1], [2]], [2, 2])];
  const first = lettingGo(one, two, new Map());
  assert.deepEqual([...(first.get("web") ?? [])], [0]);
  assert.deepEqual([...(lettingGo(two, two, first).get("web") ?? [])], [0]);
  assert.equal(lettingGo(two, one, first).size, 0);
  assert.equal(lettingGo(two, two, new Map()).size, 0);
});

const taking = (before: readonly Chain[], now: readonly Chain[]): number[][] => {
  const home = before.map(() => 1);
  const { gain, lose } = concerned(tables(before, home), tables(now, home), N3);
  return [[...gain], [...lose]];
};

test("A15: who gains and who loses a slot is known by both tables", () => {
  assert.deepEqual(taking([[1], [2]], [[2, 1], [2]]), [[2], [1]]);
});

test("A15: to let go is no loss yet, since the old owner keeps what comes; to give is", () => {
  assert.deepEqual(taking([[1], [2]], [[0, 1], [2]]), [[], []]);
  assert.deepEqual(taking([[0, 1], [2]], [[2, 1], [2]]), [[2], [1]]);
});

test("A15: what nobody ever served is taken from the lease holder", () => {
  assert.deepEqual(taking([[0], [2]], [[1], [2]]), [[1], [3]]);
});

test("A15: packets of a group that nobody serves are held where every member filters, and not where one node forwards", () => {
  const now = tables([[0], [0]], [0, 0]);
  const holds = (filtered: boolean): boolean =>
    web(stepTowards(now, now, rules({ filtered }))).holds;
  assert.deepEqual([holds(true), holds(false)], [true, false]);
});

test("B4: a chain gets shorter in one version, and its slot moves in the next", () => {
  const published = tables([[2, 3, 1, 4]], [1]);
  const wanted = { ...tables([[1]], [1]), nodes: published.nodes.filter(({ id }) => id !== N3) };
  const alive = { members: new Set([N1, N2]), filtered: false };
  const asked = (now: Tables): Partial<StepRules> => ({
    ...alive,
    asked: new Map([["web", web(now).former]]),
  });
  const shorter = stepTowards(published, wanted, rules(asked(published)));
  assert.deepEqual(chainOf(web(shorter), 0), [2, 1, 0, 0]);
  const moved = stepTowards(shorter, wanted, rules(asked(shorter)));
  assert.deepEqual(chainOf(web(moved), 0), [1, 2, 0, 0]);
});
