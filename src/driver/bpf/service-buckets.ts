// Where IPv4 services lie in map service_buckets, so that the packet program finds one with a single cache line: in the
// first of its two buckets unless that is full, else in the second. Nothing ever moves, so no lookup can miss a
// service that stays; what finds both buckets full has to go elsewhere. Follows find4() in bpf/lookup.h.
import { SERVICE_BUCKET, SERVICES_PER_BUCKET } from "./abi.gen.ts";

const CELLS_PER_BUCKET = SERVICE_BUCKET.size / 8;

/** As many entries as services, so that the map stays small; a power of two, and two at least. */
export const bucketCount = (services: number): number =>
  2 ** Math.max(1, Math.ceil(Math.log2(services / SERVICES_PER_BUCKET)));

/** What CONFIG.bucketShift says of that many buckets. */
export const bucketShift = (buckets: number): number => 64 - Math.log2(buckets);

/** Multiplicative hashing: one factor for each bucket in which a service may lie. */
const FACTORS = [0x9e3779b97f4a7c15n, 0xc2b2ae3d27d4eb4fn] as const;

/** Keys and services as 64-bit numbers (struct service4_key, struct service), 0 for none. */
export class ServiceBuckets {
  readonly #cells: BigUint64Array;
  readonly #shift: bigint;

  /** @param cells the map's memory; its buckets are a power of two */
  constructor(cells: BigUint64Array) {
    this.#cells = cells;
    this.#shift = BigInt(bucketShift(cells.length / CELLS_PER_BUCKET));
  }

  *entries(): Generator<[key: bigint, service: bigint]> {
    for (let cell = 0; cell < this.#cells.length; cell += 2) {
      const key = this.#cells[cell] ?? 0n;
      if (key !== 0n) yield [key, this.#cells[cell + 1] ?? 0n];
    }
  }

  get(key: bigint): bigint | undefined {
    const cell = this.#find(key, key);
    return cell === undefined ? undefined : this.#cells[cell + 1];
  }

  /** Adds or replaces. False: there is no room for it. A key is written after its value, so it is never seen without. */
  set(key: bigint, service: bigint): boolean {
    const present = this.#find(key, key);
    const cell = present ?? this.#find(key, 0n);
    if (cell === undefined) return false;
    Atomics.store(this.#cells, cell + 1, service);
    if (present === undefined) Atomics.store(this.#cells, cell, key);
    return true;
  }

  delete(key: bigint): void {
    const cell = this.#find(key, key);
    if (cell === undefined) return;
    Atomics.store(this.#cells, cell, 0n);
    Atomics.store(this.#cells, cell + 1, 0n);
  }

  /** The first cell with this content among those where `key` may lie. */
  #find(key: bigint, content: bigint): number | undefined {
    for (const factor of FACTORS) {
      const bucket = BigInt.asUintN(64, key * factor) >> this.#shift;
      const first = Number(bucket) * CELLS_PER_BUCKET;
      for (let cell = first; cell < first + CELLS_PER_BUCKET; cell += 2) {
        if (this.#cells[cell] === content) return cell;
      }
    }
    return undefined;
  }
}
