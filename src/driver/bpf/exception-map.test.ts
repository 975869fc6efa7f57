// B4: where exceptions lie in the kernel's map, and that both buckets of a flow are never full.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exceptions } from "#core/steering/tables.ts";
import { flowKey, flowPrint, type FlowKey } from "#wire/flow-key.ts";
import { EXCEPTION_BUCKETS, EXCEPTIONS_PER_BUCKET } from "./abi.gen.ts";
import { ExceptionMap, type ExceptionState } from "./exception-map.ts";

const KEY = [0x6a09e667, 0xbb67ae85] as const;
const flow = (index: number): FlowKey =>
  flowKey({
    protocol: 6,
    source: Uint8Array.of(10, index >> 24, (index >> 16) & 0xff, (index >> 8) & 0xff),
    sourcePort: 1024 + (index & 0xff),
    destination: Uint8Array.of(10, 0, 0, 100),
    destinationPort: 80,
  });
const exceptions = (flows: readonly FlowKey[], node = 5): Exceptions => ({
  flows,
  nodes: new Uint16Array(flows.length).fill(node),
  slots: new Uint16Array(flows.length),
});
const newState = (): ExceptionState => ({ exceptions: { first: 0, count: 1 } });
const newCells = (): BigUint64Array =>
  new BigUint64Array(EXCEPTION_BUCKETS * EXCEPTIONS_PER_BUCKET);

/** As the packet program looks (bpf/exception.h). */
function lookUp(
  cells: BigUint64Array,
  { exceptions: { first, count } }: ExceptionState,
  key: FlowKey,
  hashKey: readonly [number, number] = KEY,
): number {
  const { print, place } = flowPrint(hashKey, key);
  for (const number of [place, place >>> 16]) {
    const bucket = first + (number & (count - 1));
    for (let at = 0; at < EXCEPTIONS_PER_BUCKET; at++) {
      const cell = cells[bucket * EXCEPTIONS_PER_BUCKET + at] ?? 0n;
      if (cell !== 0n && cell >> 12n === BigInt(print)) return Number(cell & 0xfffn);
    }
  }
  return 0;
}

const used = (cells: BigUint64Array, { exceptions: { first, count } }: ExceptionState): number =>
  cells
    .subarray(first * EXCEPTIONS_PER_BUCKET, (first + count) * EXCEPTIONS_PER_BUCKET)
    .filter((cell) => cell !== 0n).length;

test("B4: as many exceptions as tables can have find their place", () => {
  const cells = newCells();
  const state = newState();
  const map = new ExceptionMap(cells, state);
  const flows = Array.from({ length: 65_536 }, (_, index) => flow(index));
  assert.equal(map.add(KEY, [exceptions(flows)]), 65_536);
  assert.equal(map.unplaced, 0);
  assert.ok(flows.every((each) => lookUp(cells, state, each) === 5));
  assert.equal(lookUp(cells, state, flow(70_000)), 0);
});

test("B4: only what differs is written; a flow may get another node, and what is not wanted goes", () => {
  const cells = newCells();
  const state = newState();
  const map = new ExceptionMap(cells, state);
  const [a, b, c] = [flow(1), flow(2), flow(3)];
  assert.equal(map.add(KEY, [exceptions([a, b])]), 2);
  assert.equal(map.add(KEY, [exceptions([a]), exceptions([b, c], 7)]), 2);
  assert.deepEqual(
    [a, b, c].map((each) => lookUp(cells, state, each)),
    [5, 7, 7],
  );
  assert.equal(map.keepOnly([exceptions([b])]), 2);
  assert.deepEqual(
    [a, b, c].map((each) => lookUp(cells, state, each)),
    [0, 7, 0],
  );
  assert.equal(used(cells, state), 1);
});

test("B4: an agent that takes over a map leaves in place what is still pinned, and removes the rest", () => {
  const cells = newCells();
  const state = newState();
  new ExceptionMap(cells, state).add(KEY, [exceptions([flow(1), flow(2)])]);
  const before = cells.slice();
  const heir = new ExceptionMap(cells, state);
  heir.add(KEY, [exceptions([flow(2), flow(3)])]);
  assert.ok(
    before.every((cell, at) => cell === 0n || cells[at] === cell),
    "nothing went in between",
  );
  heir.keepOnly([exceptions([flow(2), flow(3)])]);
  assert.deepEqual(
    [flow(1), flow(2), flow(3)].map((each) => lookUp(cells, state, each)),
    [0, 5, 5],
  );
  assert.equal(used(cells, state), 2);
});

test("B4: with another hash key every exception lies elsewhere", () => {
  const cells = newCells();
  const state = newState();
  const map = new ExceptionMap(cells, state);
  map.add(KEY, [exceptions([flow(1)])]);
  map.add([1, 2], [exceptions([flow(1)])]);
  assert.equal(lookUp(cells, state, flow(1), [1, 2]), 5);
  assert.equal(used(cells, state), 1);
});

test("B4: where both buckets are full, the flow is left out and counted", () => {
  const map = new ExceptionMap(new BigUint64Array(2 * EXCEPTIONS_PER_BUCKET), newState());
  const flows = Array.from({ length: EXCEPTIONS_PER_BUCKET + 1 }, (_, index) => flow(index));
  map.add(KEY, [exceptions(flows)]);
  assert.equal(map.unplaced, 1);
});

test("B4: the packet program looks at no more buckets than what is pinned needs, while they grow and shrink", () => {
  const cells = newCells();
  const state = newState();
  const map = new ExceptionMap(cells, state);
  for (const count of [3, 40, 41, 1000, 20_000, 65_536, 20_000, 500, 0, 7]) {
    const flows = Array.from({ length: count }, (_, index) => flow(index));
    const pinned = [exceptions(flows)];
    map.add(KEY, pinned);
    assert.ok(flows.every((each) => lookUp(cells, state, each) === 5));
    map.keepOnly(pinned);
    assert.ok(flows.every((each) => lookUp(cells, state, each) === 5));
    assert.equal(used(cells, state), count);
    assert.ok(state.exceptions.count <= Math.max(1, count * 2), "no more than two for each");
  }
  assert.equal(map.unplaced, 0);
});

test("B4: what was looked at before stays as it was when buckets become more", () => {
  const cells = newCells();
  const state = newState();
  const map = new ExceptionMap(cells, state);
  map.add(KEY, [exceptions([flow(1)])]);
  const before = { exceptions: state.exceptions };
  map.add(KEY, [exceptions(Array.from({ length: 20 }, (_, index) => flow(index)))]);
  assert.notDeepEqual(state.exceptions, before.exceptions);
  assert.equal(lookUp(cells, before, flow(1)), 5);
});

test("B4: a full bucket makes room by sending an entry to its other one", () => {
  const cells = new BigUint64Array(2 * 4 * EXCEPTIONS_PER_BUCKET);
  const state: ExceptionState = { exceptions: { first: 0, count: 4 } };
  const map = new ExceptionMap(cells, state);
  const flows = Array.from({ length: 15 }, (_, index) => flow(index));
  map.add(KEY, [exceptions(flows)]);
  assert.equal(map.unplaced, 0);
  assert.ok(flows.every((each) => lookUp(cells, state, each) === 5));
});
