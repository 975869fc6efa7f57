// B4: where exceptions lie in the kernel's map, and that both buckets of a flow are never full.
import assert from "node:assert/strict";
import { test } from "node:test";
import type { Exceptions } from "#core/steering/tables.ts";
import { flowKey, flowPrint, type FlowKey } from "#wire/flow-key.ts";
import { EXCEPTIONS_PER_BUCKET } from "./abi.gen.ts";
import { exceptionBuckets, ExceptionMap } from "./exception-map.ts";

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
const cellsFor = (count: number): BigUint64Array =>
  new BigUint64Array(exceptionBuckets(count) * EXCEPTIONS_PER_BUCKET);

/** As the packet program looks (bpf/exception.h). */
function lookUp(
  cells: BigUint64Array,
  key: FlowKey,
  hashKey: readonly [number, number] = KEY,
): number {
  const { print, place } = flowPrint(hashKey, key);
  const mask = cells.length / EXCEPTIONS_PER_BUCKET - 1;
  for (const bucket of [place & mask, (place >>> 16) & mask]) {
    for (let at = 0; at < EXCEPTIONS_PER_BUCKET; at++) {
      const cell = cells[bucket * EXCEPTIONS_PER_BUCKET + at] ?? 0n;
      if (cell !== 0n && cell >> 12n === BigInt(print)) return Number(cell & 0xfffn);
    }
  }
  return 0;
}

const used = (cells: BigUint64Array): number => cells.filter((cell) => cell !== 0n).length;

test("B4: as many exceptions as tables can have find their place", () => {
  const cells = cellsFor(65_536);
  const map = new ExceptionMap(cells);
  const flows = Array.from({ length: 65_536 }, (_, index) => flow(index));
  assert.equal(map.add(KEY, [exceptions(flows)]), 65_536);
  assert.equal(map.unplaced, 0);
  assert.ok(flows.every((each) => lookUp(cells, each) === 5));
  assert.equal(lookUp(cells, flow(70_000)), 0);
});

test("B4: only what differs is written; a flow may get another node, and what is not wanted goes", () => {
  const cells = cellsFor(64);
  const map = new ExceptionMap(cells);
  const [a, b, c] = [flow(1), flow(2), flow(3)];
  assert.equal(map.add(KEY, [exceptions([a, b])]), 2);
  assert.equal(map.add(KEY, [exceptions([a]), exceptions([b, c], 7)]), 2);
  assert.deepEqual(
    [a, b, c].map((each) => lookUp(cells, each)),
    [5, 7, 7],
  );
  assert.equal(map.keepOnly([exceptions([b])]), 2);
  assert.deepEqual(
    [a, b, c].map((each) => lookUp(cells, each)),
    [0, 7, 0],
  );
  assert.equal(used(cells), 1);
});

test("B4: an agent that takes over a map leaves in place what is still pinned, and removes the rest", () => {
  const cells = cellsFor(64);
  new ExceptionMap(cells).add(KEY, [exceptions([flow(1), flow(2)])]);
  const before = cells.slice();
  const heir = new ExceptionMap(cells);
  heir.add(KEY, [exceptions([flow(2), flow(3)])]);
  assert.ok(
    before.every((cell, at) => cell === 0n || cells[at] === cell),
    "nothing went in between",
  );
  heir.keepOnly([exceptions([flow(2), flow(3)])]);
  assert.deepEqual(
    [flow(1), flow(2), flow(3)].map((each) => lookUp(cells, each)),
    [0, 5, 5],
  );
  assert.equal(used(cells), 2);
});

test("B4: with another hash key every exception lies elsewhere", () => {
  const cells = cellsFor(64);
  const map = new ExceptionMap(cells);
  map.add(KEY, [exceptions([flow(1)])]);
  map.add([1, 2], [exceptions([flow(1)])]);
  assert.equal(lookUp(cells, flow(1), [1, 2]), 5);
  assert.equal(used(cells), 1);
});

test("B4: where both buckets are full, the flow is left out and counted", () => {
  const map = new ExceptionMap(new BigUint64Array(EXCEPTIONS_PER_BUCKET));
  const flows = Array.from({ length: EXCEPTIONS_PER_BUCKET + 1 }, (_, index) => flow(index));
  map.add(KEY, [exceptions(flows)]);
  assert.equal(map.unplaced, 1);
});
