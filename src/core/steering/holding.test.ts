// A15: frames wait for an owner, and go there; fragments wait for their first one.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { HOLD_LIMITS } from "./hold-queue.ts";
import { ASKED_A_TURN, FRAGMENT_RETRY_MS } from "./early-fragments.ts";
import { Holding } from "./holding.ts";
import { nextTables } from "./next-tables.ts";
import { FORMER_OWNERS, type Tables } from "./tables.ts";
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
    waiting: 0,
    waitingBytes: 0,
  });
});

/** Every member filters; nobody owns slot 3, and this is its newest former owner. */
function keptBy(keeper: number): Tables {
  const without = tables([2, 2, 2, 0, 1, 1, 1, 1], "unicast");
  const former = web(without).former.slice();
  former[3 * FORMER_OWNERS] = keeper;
  return { ...without, groups: [{ ...web(without), former }] };
}

test("A15: what the old owner kept goes to the new one, or back to itself when the move is called off", () => {
  for (const owner of [1, 2]) {
    const holding = new Holding(N1);
    holding.installed(instant(0), keptBy(1));
    holding.hold(instant(1), [{ frame: frame(1), slot: web3 }]);
    assert.deepEqual(holding.installed(instant(2), keptBy(1)), []);
    const given = tables([2, 2, 2, owner, 1, 1, 1, 1], "unicast");
    assert.deepEqual(holding.installed(instant(3), given), [
      { frame: frame(1), to: nodeId(owner) },
    ]);
  }
});

test("A15: who does not keep a slot any more hands over what it has, and what came before it knew", () => {
  const holding = new Holding(N1);
  holding.installed(instant(0), keptBy(1));
  holding.hold(instant(1), [{ frame: frame(1), slot: web3 }]);
  assert.deepEqual(holding.installed(instant(2), keptBy(2)), [{ frame: frame(1), to: N2 }]);
});

test("A15: what came to this node alone waits here, whoever keeps what everybody gets", () => {
  const holding = new Holding(N1);
  holding.installed(instant(0), keptBy(2));
  holding.hold(instant(1), [{ frame: frame(1), slot: web3 }]);
  assert.deepEqual(holding.decided(instant(1)), []);
  assert.deepEqual(holding.installed(instant(2), keptBy(2)), []);
  const given = holding.installed(instant(3), tables([2, 2, 2, 2, 1, 1, 1, 1], "unicast"));
  assert.deepEqual(given, [{ frame: frame(1), to: N2 }]);
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

test("A15: a frame without room is refused, and its slot is wanted all the same", () => {
  const holding = new Holding(N1, { frames: 1, bytes: 1000, ageMs: 100 });
  const wanted = holding.hold(instant(0), [
    { frame: frame(1), slot: web3 },
    { frame: frame(2), slot: web4 },
  ]);
  assert.deepEqual(wanted, [web3, web4]);
  assert.equal(holding.counts.refused, 1);
});

test("A15: a flood of early fragments keeps no frame from waiting for an owner", () => {
  const holding = new Holding(N1);
  const flood = Array.from({ length: 5000 }, (_, n) => ({ frame: frame(1), datagram: `${n}` }));
  assert.deepEqual(holding.hold(instant(0), flood), []);
  assert.equal(holding.counts.waiting, HOLD_LIMITS.frames / 2, "half as many as other frames");
  const syn = { frame: frame(2), slot: web3 };
  assert.deepEqual(holding.hold(instant(1), [syn]), [web3]);
  const sent = holding.installed(instant(2), tables([1, 1, 1, 2, 1, 1, 1, 1]));
  assert.deepEqual(sent, [{ frame: frame(2), to: N2 }]);
  assert.equal(holding.counts.refused, 5000 - HOLD_LIMITS.frames / 2);
});

test("A15: large early fragments have half of the bytes", () => {
  const holding = new Holding(N1, { frames: 100, bytes: 1000, ageMs: 100 });
  const flood = Array.from({ length: 20 }, (_, n) => ({ frame: frame(1), datagram: `${n}` }));
  holding.hold(instant(0), flood);
  assert.equal(holding.counts.waitingBytes, 8 * 60);
});

test("A15: a frame that came after its slot got its owner goes there with its batch", () => {
  const holding = new Holding(N1);
  holding.installed(instant(0), tables([1, 1, 1, 2, 0, 1, 1, 1]));
  holding.hold(instant(1), [
    { frame: frame(1), slot: web3 },
    { frame: frame(2), slot: web4 },
  ]);
  assert.deepEqual(holding.decided(instant(1)), [{ frame: frame(1), to: N2 }]);
  assert.deepEqual(holding.wanted, [web4]);
});

test("A14: an early fragment goes on once its first one has been seen", () => {
  const holding = new Holding(N1);
  const seen = new Set<number>();
  const isSeen = (held: Uint8Array): boolean => seen.has(held[0] ?? 0);
  holding.hold(instant(0), [
    { frame: frame(1), datagram: "a" },
    { frame: frame(2), datagram: "b" },
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

test("A14: a datagram is asked about once for all its fragments, and goes on in order", () => {
  const holding = new Holding(N1);
  const waiting = [1, 2, 3].map((fill) => ({ frame: frame(fill), datagram: "a" }));
  holding.hold(instant(0), waiting);
  const asked: number[] = [];
  const taken = holding.deadlineReached(instant(FRAGMENT_RETRY_MS), (held) => {
    asked.push(held[0] ?? 0);
    return true;
  });
  assert.deepEqual(asked, [1]);
  assert.deepEqual(
    taken.map((sent) => sent.frame[0]),
    [1, 2, 3],
  );
});

test("A14: in one turn so many datagrams are asked about and no more; each has its turn", () => {
  const holding = new Holding(N1);
  const count = 2 * ASKED_A_TURN + 1;
  const flood = Array.from({ length: count }, (_, n) => {
    const bytes = frame(0);
    new DataView(bytes.buffer).setUint32(0, n);
    return { frame: bytes, datagram: `${n}` };
  });
  holding.hold(instant(0), flood);
  const turns = [1, 2, 3, 4].map((turn) => {
    const asked: number[] = [];
    holding.deadlineReached(instant(turn * FRAGMENT_RETRY_MS), (held) => {
      asked.push(new DataView(held.buffer).getUint32(0));
      return false;
    });
    return asked;
  });
  assert.deepEqual(
    turns.map((asked) => asked.length),
    [ASKED_A_TURN, ASKED_A_TURN, 1, ASKED_A_TURN],
  );
  const all = Array.from({ length: count }, (_, n) => n);
  assert.deepEqual(turns.slice(0, 3).flat(), all);
});
