// Placement of services in buckets: whatever comes and goes, what is there is found, in one of its two places, and
// never moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import {
  bucketCount,
  bucketShift,
  foldAddress,
  type Halves,
  NO_ADDRESS,
  type Place,
  ServiceBuckets,
} from "./service-buckets.ts";

interface Memory {
  readonly cells: BigUint64Array;
  readonly halves: BigUint64Array;
  readonly buckets: ServiceBuckets;
}

function memoryFor(services: number): Memory {
  const sizes = ServiceBuckets.sizes(bucketCount(services));
  const cells = new BigUint64Array(sizes.cells);
  const halves = new BigUint64Array(sizes.halves);
  return { cells, halves, buckets: new ServiceBuckets(cells, halves) };
}

/** struct service4_key of tcp 10.200.0.(index / 128), port 8000 + index % 128, as a little-endian number. */
function keyOf(index: number): bigint {
  const port = 8000 + (index % 128);
  const bytes = Uint8Array.of(10, 200, 0, index >> 7, port >> 8, port & 255, 6, 1);
  return new BigUint64Array(bytes.buffer)[0] ?? 0n;
}

const place4 = (index: number): Place => ({ key: keyOf(index), address: NO_ADDRESS });

/** Of services by IPv6: places with even and odd index have the same keys, and differ in the rest of the address. */
const place6 = (index: number): Place => ({
  key: keyOf(index >> 1) | (0x80n << 56n),
  address: [0xfdn, BigInt(index + 1)],
});

test("B14: as many entries as services, in a power of two of buckets", () => {
  assert.deepEqual([1, 2, 64, 100, 16_384].map(bucketCount), [2, 2, 16, 32, 4096]);
});

test("B14: of 10 000 services nearly all lie in the bucket that is looked at first, and hardly any finds no room", () => {
  const { cells, buckets } = memoryFor(16_384);
  const keys = Array.from({ length: 10_000 }, (_, index) => keyOf(index));
  const refused = keys.filter((key) => !buckets.set({ key, address: NO_ADDRESS }, 1n));
  assert.ok(refused.length < 100, `${refused.length} found no room`);
  const shift = BigInt(bucketShift(bucketCount(16_384)));
  const inFirst = keys.filter((key) => {
    const bucket = Number(BigInt.asUintN(64, key * 0x9e3779b97f4a7c15n) >> shift);
    return cells.subarray(bucket * 8, bucket * 8 + 8).includes(key);
  });
  assert.ok(inFirst.length > 9000, `${inFirst.length} lie in their first bucket`);
});

test("B2: a key appears after its value and goes before it, at one place", () => {
  const { cells, buckets } = memoryFor(64);
  buckets.set(place4(0), 7n);
  const place = cells.indexOf(keyOf(0));
  assert.equal(cells[place + 1], 7n);
  buckets.set(place4(0), 8n);
  assert.equal(cells.indexOf(keyOf(0)), place);
  assert.equal(buckets.get(place4(0)), 8n);
  buckets.delete(place4(0));
  assert.ok(cells.every((cell) => cell === 0n));
});

test("B2: of two IPv6 services whose keys are the same, the second has to go elsewhere", () => {
  const { buckets } = memoryFor(64);
  assert.ok(buckets.set(place6(0), 7n));
  assert.ok(!buckets.set(place6(1), 8n));
  assert.deepEqual([buckets.get(place6(0)), buckets.get(place6(1))], [7n, undefined]);
  buckets.delete(place6(1));
  assert.equal(buckets.get(place6(0)), 7n, "somebody else's place is not touched");
  buckets.delete(place6(0));
  assert.ok(buckets.set(place6(1), 8n));
  assert.deepEqual([...buckets.entries()], [{ ...place6(1), service: 8n }]);
});

test("B14: the addresses of one network fold to different numbers", () => {
  const halves = (text: string): Halves => {
    const bytes = Buffer.from(text.padEnd(32, "0"), "hex");
    return [bytes.readBigUInt64LE(0), bytes.readBigUInt64LE(8)];
  };
  const addresses: Halves[] = [];
  for (let host = 0; host < 4096; host++) {
    const low = host.toString(16).padStart(16, "0");
    addresses.push(halves(`20010db800010002${low}`));
    addresses.push(halves(`20010db80001${host.toString(16).padStart(4, "0")}0000000000000001`));
  }
  const folded = new Set(addresses.map(foldAddress));
  assert.ok(folded.size >= addresses.length - 2, `${folded.size} of ${addresses.length}`);
});

const change = fc.record({
  place: fc
    .integer({ min: 0, max: 40 })
    .chain((index) => fc.constantFrom(place4(index), place6(index))),
  service: fc.bigInt({ min: 0n, max: 9n }),
});

test("B2: after any changes exactly what was accepted is found; what stays does not move", () => {
  fc.assert(
    fc.property(fc.array(change, { maxLength: 120 }), (changes) => {
      const { cells, halves, buckets } = memoryFor(16);
      const model = new Map<string, bigint>();
      const nameOf = ({ key, address }: Place): string => `${key} ${address.join()}`;
      for (const { place, service } of changes) {
        const before = { cells: cells.slice(), halves: halves.slice() };
        if (service === 0n) {
          buckets.delete(place);
          model.delete(nameOf(place));
        } else if (buckets.set(place, service)) {
          model.set(nameOf(place), service);
        } else {
          assert.ok(!model.has(nameOf(place)), "what is there can always be replaced");
          assert.deepEqual({ cells, halves }, before, "a refusal changes nothing");
        }
        const found = Array.from(
          buckets.entries(),
          (each) => [nameOf(each), each.service] as const,
        );
        assert.deepEqual(new Map(found), model);
        for (const [at, cell] of before.cells.entries()) {
          if (at % 2 === 0 && cell !== 0n && cell !== place.key) assert.equal(cells[at], cell);
        }
      }
    }),
    { numRuns: 300 },
  );
});
