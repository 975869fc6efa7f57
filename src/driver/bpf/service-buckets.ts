// Where services lie in map service_buckets, so that the packet program finds one with a single cache line: in the
// first of its two buckets unless that is full, else in the second. Nothing ever moves, so no lookup can miss a
// service that stays; what finds both buckets full has to go elsewhere. A key has room for 32 bits of an IPv6 address: the whole one
// lies beside it, in map bucket_vips, and of two that have the same key one has to go elsewhere. Follows bpf/lookup.h.
import { BUCKET_VIPS, SERVICE_BUCKET, SERVICES_PER_BUCKET } from "./abi.gen.ts";

const CELLS_PER_BUCKET = SERVICE_BUCKET.size / 8;

/** As many entries as services, so that the map stays small; a power of two, and two at least. */
export const bucketCount = (services: number): number =>
  2 ** Math.max(1, Math.ceil(Math.log2(services / SERVICES_PER_BUCKET)));

/** What CONFIG.bucketShift says of that many buckets. */
export const bucketShift = (buckets: number): number => 64 - Math.log2(buckets);

/** Multiplicative hashing: one factor for each bucket in which a service may lie. */
const FACTORS = [0x9e3779b97f4a7c15n, 0xc2b2ae3d27d4eb4fn] as const;

/** Sixteen bytes of an address as they lie in memory, as two numbers. IPv4: two zeros. */
export type Halves = readonly [bigint, bigint];
export const NO_ADDRESS: Halves = [0n, 0n];

/** fold_address() in bpf/lookup.h. */
export function foldAddress([first, second]: Halves): number {
  const mixed = BigInt.asUintN(64, (first ^ (first >> 32n)) * FACTORS[0]) ^ second;
  return Number(BigInt.asUintN(64, (mixed ^ (mixed >> 32n)) * FACTORS[1]) >> 32n);
}

/** What tells one service from all others. */
export interface Place {
  /** struct service4_key as a number, never 0. */
  readonly key: bigint;
  readonly address: Halves;
}

export interface BucketEntry extends Place {
  /** struct service as a number. */
  readonly service: bigint;
}

export class ServiceBuckets {
  readonly #cells: BigUint64Array;
  /** One for each cell: key and service are two cells, an address has two halves. */
  readonly #halves: BigUint64Array;
  readonly #shift: bigint;

  /** @param cells memory of map service_buckets, @param halves of map bucket_vips; as many buckets, a power of two */
  constructor(cells: BigUint64Array, halves: BigUint64Array) {
    this.#cells = cells;
    this.#halves = halves;
    this.#shift = BigInt(bucketShift(cells.length / CELLS_PER_BUCKET));
  }

  /** What there is room for. */
  static sizes(buckets: number): { readonly cells: number; readonly halves: number } {
    return { cells: buckets * CELLS_PER_BUCKET, halves: (buckets * BUCKET_VIPS.size) / 8 };
  }

  *entries(): Generator<BucketEntry> {
    for (let cell = 0; cell < this.#cells.length; cell += 2) {
      const key = this.#cells[cell] ?? 0n;
      if (key === 0n) continue;
      const address: Halves = [this.#halves[cell] ?? 0n, this.#halves[cell + 1] ?? 0n];
      yield { key, address, service: this.#cells[cell + 1] ?? 0n };
    }
  }

  get(place: Place): bigint | undefined {
    const cell = this.#find(place.key, place.key);
    return cell !== undefined && this.#isOf(cell, place) ? this.#cells[cell + 1] : undefined;
  }

  /** Adds or replaces. False: there is no room for it. A key is written after the rest, so it is never seen without. */
  set(place: Place, service: bigint): boolean {
    const present = this.#find(place.key, place.key);
    if (present !== undefined && !this.#isOf(present, place)) return false;
    const cell = present ?? this.#find(place.key, 0n);
    if (cell === undefined) return false;
    for (const half of [0, 1] as const) {
      Atomics.store(this.#halves, cell + half, place.address[half]);
    }
    Atomics.store(this.#cells, cell + 1, service);
    if (present === undefined) Atomics.store(this.#cells, cell, place.key);
    return true;
  }

  delete(place: Place): void {
    const cell = this.#find(place.key, place.key);
    if (cell === undefined || !this.#isOf(cell, place)) return;
    Atomics.store(this.#cells, cell, 0n);
    Atomics.store(this.#cells, cell + 1, 0n);
  }

  #isOf(cell: number, { address }: Place): boolean {
    return this.#halves[cell] === address[0] && this.#halves[cell + 1] === address[1];
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
