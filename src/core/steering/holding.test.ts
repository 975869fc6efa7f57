// A15: frames wait for an owner, and go there; fragments wait for their first one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { DOUBTFUL_MS, FRAGMENT_RETRY_MS, Holding } from "./holding.ts";
import { nextTables } from "./next-tables.ts";
import type { Tables } from "./tables.ts";
import { desired, version, web } from "./testing/desired.ts";

const [N1, N2] = [nodeId(1), nodeId(2)] as const;
const frame = (fill: number): Uint8Array => new Uint8Array(60).fill(fill);
const web3 = { group: "web", slot: 3 };
const web4 = { group: "web", slot: 4 };

function tables(
  owners: readonly number[],
  method: Tables["delivery"]["method"] = "forward",
): Tables {
  const base = nextTables(undefined, desired(8, [{ id: 1 }, { id: 2 }]), version(1));
  const delivery = { ...base.delivery, method };
  return { ...base, delivery, groups: [{ ...web(base), owners: Uint16Array.from(owners) }] };
}

test("A15: a frame without an owner asks for one, and goes there when it has one", () => {
  const holding = new Holding(N1);
  const wanted = holding.hold(instant(0), [
    { frame: frame(1), slot: web3 },
    { frame: frame(2), slot: web3 },
    { frame: frame(3), slot: web4 },
  ]);
  assert.deepEqual(wanted, [web3, web4]);
  assert.deepEqual(holding.installed(instant(1), tables([1, 1, 1, 0, 0, 1, 1, 1])), []);
  const first = holding.installed(instant(2), tables([1, 1, 1, 2, 0, 1, 1, 1]));
  assert.deepEqual(first, [
    { frame: frame(1), to: N2 },
    { frame: frame(2), to: N2 },
  ]);
  assert.deepEqual(holding.wanted, [web4]);
  const second = holding.installed(instant(3), tables([1, 1, 1, 2, 1, 1, 1, 1]));
  assert.deepEqual(second, [{ frame: frame(3), to: N1 }]);
  assert.deepEqual(holding.counts, {
    held: 3,
    released: 3,
    refused: 0,
    expired: 0,
    unsent: 0,
    doubtful: 0,
    waiting: 0,
    waitingBytes: 0,
  });
});

test("A15: just after a slot was let go, the old owner may have taken the frame: it is not held", () => {
  const holding = new Holding(N1);
  holding.installed(instant(0), tables([2, 2, 2, 2, 1, 1, 1, 1], "unicast"));
  holding.installed(instant(1000), tables([2, 2, 2, 0, 0, 1, 1, 1], "unicast"));
  const frames = [
    { frame: frame(1), slot: web3 },
    { frame: frame(2), slot: web4 },
  ];
  assert.deepEqual(holding.hold(instant(1000 + DOUBTFUL_MS - 1), frames), [web4], "web4 was mine");
  assert.equal(holding.counts.doubtful, 1);
  assert.deepEqual(holding.hold(instant(1000 + DOUBTFUL_MS), frames), [web3, web4]);
  const given = holding.installed(instant(1100), tables([2, 2, 2, 1, 1, 1, 1, 1]));
  assert.deepEqual(
    given.map((sent) => sent.frame[0]),
    [2, 1, 2],
  );
});

test("A15: nobody serves: the frame is dropped when it is too old", () => {
  const holding = new Holding(N1, { frames: 10, bytes: 1000, ageMs: 100 });
  holding.hold(instant(0), [{ frame: frame(1), slot: web3 }]);
  assert.equal(holding.deadline, 100);
  assert.deepEqual(
    holding.deadlineReached(instant(100), () => false),
    [],
  );
  assert.equal(holding.counts.expired, 1);
  assert.deepEqual(holding.installed(instant(101), tables([2, 2, 2, 2, 2, 2, 2, 2])), []);
});

test("A15: what has no room is not asked for", () => {
  const holding = new Holding(N1, { frames: 1, bytes: 1000, ageMs: 100 });
  const wanted = holding.hold(instant(0), [
    { frame: frame(1), slot: web3 },
    { frame: frame(2), slot: web4 },
  ]);
  assert.deepEqual(wanted, [web3]);
  assert.equal(holding.counts.refused, 1);
});

test("A14: an early fragment goes on once its first one has been seen", () => {
  const holding = new Holding(N1);
  const seen = new Set<number>();
  const isSeen = (held: Uint8Array): boolean => seen.has(held[0] ?? 0);
  holding.hold(instant(0), [
    { frame: frame(1), slot: undefined },
    { frame: frame(2), slot: undefined },
  ]);
  assert.equal(holding.deadline, FRAGMENT_RETRY_MS);
  assert.deepEqual(holding.deadlineReached(instant(FRAGMENT_RETRY_MS), isSeen), []);
  seen.add(2);
  const taken = holding.deadlineReached(instant(2 * FRAGMENT_RETRY_MS), isSeen);
  assert.deepEqual(taken, [{ frame: frame(2), to: N1 }]);
  seen.add(1);
  const last = holding.deadlineReached(instant(3 * FRAGMENT_RETRY_MS), isSeen);
  assert.deepEqual(last, [{ frame: frame(1), to: N1 }]);
  assert.equal(holding.deadline, undefined);
});
