// Placement of services in buckets: whatever comes and goes, what is there is found, in one of its two places, and
// never moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { SERVICE_BUCKET } from "./abi.gen.ts";
import { bucketCount, bucketShift, ServiceBuckets } from "./service-buckets.ts";

const cellsFor = (services: number): BigUint64Array =>
  new BigUint64Array((bucketCount(services) * SERVICE_BUCKET.size) / 8);

/** struct service4_key of tcp 10.200.0.(index / 128), port 8000 + index % 128, as a little-endian number. */
function keyOf(index: number): bigint {
  const port = 8000 + (index % 128);
  const bytes = Uint8Array.of(10, 200, 0, index >> 7, port >> 8, port & 255, 6, 1);
  return new BigUint64Array(bytes.buffer)[0] ?? 0n;
}

test("B14: as many entries as services, in a power of two of buckets", () => {
  assert.deepEqual([1, 2, 64, 100, 16_384].map(bucketCount), [2, 2, 16, 32, 4096]);
});

test("B14: of 10 000 services nearly all lie in the bucket that is looked at first, and hardly any finds no room", () => {
  const cells = cellsFor(16_384);
  const buckets = new ServiceBuckets(cells);
  const keys = Array.from({ length: 10_000 }, (_, index) => keyOf(index));
  const refused = keys.filter((key) => !buckets.set(key, 1n));
  assert.ok(refused.length < 100, `${refused.length} found no room`);
  const shift = BigInt(bucketShift(bucketCount(16_384)));
  const inFirst = keys.filter((key) => {
    const bucket = Number(BigInt.asUintN(64, key * 0x9e3779b97f4a7c15n) >> shift);
    return cells.subarray(bucket * 8, bucket * 8 + 8).includes(key);
  });
  assert.ok(inFirst.length > 9000, `${inFirst.length} lie in their first bucket`);
});

test("B2: a key appears after its value and goes before it, at one place", () => {
  const cells = cellsFor(64);
  const buckets = new ServiceBuckets(cells);
  buckets.set(keyOf(0), 7n);
  const place = cells.indexOf(keyOf(0));
  assert.equal(cells[place + 1], 7n);
  buckets.set(keyOf(0), 8n);
  assert.equal(cells.indexOf(keyOf(0)), place);
  assert.equal(buckets.get(keyOf(0)), 8n);
  buckets.delete(keyOf(0));
  assert.ok(cells.every((cell) => cell === 0n));
});

const change = fc.record({
  index: fc.integer({ min: 0, max: 40 }),
  service: fc.bigInt({ min: 0n, max: 9n }),
});

test("B2: after any changes exactly what was accepted is found; what stays does not move", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
      const cells = cellsFor(16);
      const buckets = new ServiceBuckets(cells);
      const model = new Map<bigint, bigint>();
      for (const { index, service } of changes) {
        const before = cells.slice();
        const key = keyOf(index);
        if (service === 0n) {
          buckets.delete(key);
          model.delete(key);
        } else if (buckets.set(key, service)) {
          model.set(key, service);
        } else {
          assert.ok(!model.has(key), "what is there can always be replaced");
          assert.deepEqual(cells, before, "a refusal changes nothing");
        }
        assert.deepEqual(new Map(buckets.entries()), model);
        for (const [at, cell] of before.entries()) {
          if (at % 2 === 0 && cell !== 0n && cell !== key) assert.equal(cells[at], cell);
        }
      }
    }),
    { numRuns: 300 },
  );
});
