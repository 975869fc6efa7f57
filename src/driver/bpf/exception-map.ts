// Connections that are pinned to a node (B4), where the packet program finds them: in one of two buckets of half a cache line each. Shared
// memory, written an entry at a time, so ten thousand take a few milliseconds. Follows bpf/exception.h.
//
// The map has two halves. The packet program looks at the first buckets of one of them, as few as will do, so that they stay in the
// processor's cache. When they become too many or too few for what is pinned, everything is written to the other half, and then the
// program is told to look there.
import type { Exceptions } from "#core/steering/tables.ts";
import { flowPrint, type FlowKey, type FlowPrint } from "#wire/flow-key.ts";
import { EXCEPTION_BUCKETS, EXCEPTIONS_PER_BUCKET } from "./abi.gen.ts";
import { sameLists } from "#base/same-lists.ts";
import { Mapping } from "../libc.ts";
import type { BucketRange } from "./shared-maps.ts";

/** So many of a bucket's places may be taken on average; then one flow of twenty-five is in its second bucket. */
const USUAL_LOAD = 2.5;
/** With less than that on average there are too many buckets. */
const LEAST_LOAD = 0.5;
const NODE_BITS = 12n;

/** Buckets for so many exceptions; a power of two. */
const bucketsFor = (exceptions: number): number =>
  2 ** Math.ceil(Math.log2(Math.max(1, exceptions / USUAL_LOAD)));

interface Placed {
  readonly cell: number;
  readonly entry: bigint;
  readonly print: FlowPrint;
}

/** Where the packet program is told which buckets count. */
export interface ExceptionState {
  exceptions: BucketRange;
}

export class ExceptionMap {
  readonly #cells: BigUint64Array;
  readonly #state: ExceptionState;
  readonly #half: number;
  readonly #placed = new Map<FlowKey, Placed>();
  readonly #flowAt = new Map<number, FlowKey>();
  #range: BucketRange;
  #hashKey: readonly [number, number] = [0, 0];
  /** Of an earlier agent: which flows they are is not known here. */
  #inherited: boolean;
  #unplaced = 0;
  /** What the map was last brought to: the same objects again change nothing. */
  #present: readonly Exceptions[] = [];

  /** @param cells the map's memory */
  constructor(cells: BigUint64Array, state: ExceptionState) {
    this.#cells = cells;
    this.#state = state;
    this.#half = cells.length / EXCEPTIONS_PER_BUCKET / 2;
    this.#range = state.exceptions;
    this.#inherited = this.#looked().some((cell) => cell !== 0n);
  }

  /** Flows for which both buckets were full, since the start. */
  get unplaced(): number {
    return this.#unplaced;
  }

  /** Adds and moves what is pinned by these groups, before slots say that they have exceptions. Answers how many were written. */
  add(hashKey: readonly [number, number], groups: readonly Exceptions[]): number {
    if (hashKey[0] !== this.#hashKey[0] || hashKey[1] !== this.#hashKey[1]) {
      this.#forgetAll();
      this.#hashKey = hashKey;
      this.#present = [];
    }
    if (this.#isPresent(groups)) return 0;
    this.#present = [];
    const wanted = groups.reduce((sum, { flows }) => sum + flows.length, 0);
    if (wanted > this.#range.count * USUAL_LOAD) this.#resize(wanted);
    let written = 0;
    for (const { flows, nodes } of groups) {
      for (let index = 0; index < flows.length; index++) {
        if (this.#set(flows[index] ?? "", nodes[index] ?? 0)) written++;
      }
    }
    return written;
  }

  /** Removes what these groups do not pin, after slots have stopped to say so. Answers how many were removed. */
  keepOnly(groups: readonly Exceptions[]): number {
    if (this.#isPresent(groups)) return 0;
    const wanted = groups.reduce((sum, { flows }) => sum + flows.length, 0);
    const before = this.#placed.size;
    if (before !== wanted) {
      const stay = new Set(groups.flatMap(({ flows }) => flows));
      for (const [flow, { cell }] of this.#placed) {
        if (stay.has(flow)) continue;
        Atomics.store(this.#cells, cell, 0n);
        this.#placed.delete(flow);
        this.#flowAt.delete(cell);
      }
    }
    if (this.#inherited) this.#removeUnknown();
    if (wanted < this.#range.count * LEAST_LOAD) this.#resize(wanted);
    this.#present = groups;
    return before - this.#placed.size;
  }

  #isPresent(groups: readonly Exceptions[]): boolean {
    return groups.length > 0 && !this.#inherited && sameLists(groups, this.#present);
  }

  #set(flow: FlowKey, node: number): boolean {
    const known = this.#placed.get(flow);
    if (known !== undefined && Number(known.entry & 0xfffn) === node) return false;
    const print = known?.print ?? flowPrint(this.#hashKey, flow);
    const entry = (BigInt(print.print) << NODE_BITS) | BigInt(node);
    const cell = known?.cell ?? this.#cellFor(print);
    if (cell === undefined) {
      this.#unplaced += 1;
      return false;
    }
    this.#put(flow, { cell, entry, print });
    return true;
  }

  #put(flow: FlowKey, placed: Placed): void {
    Atomics.store(this.#cells, placed.cell, placed.entry);
    this.#placed.set(flow, placed);
    this.#flowAt.set(placed.cell, flow);
  }

  /** First cells of the two buckets in which the program looks, in that order. */
  #bucketsOf({ place }: FlowPrint): readonly [number, number] {
    const { first, count } = this.#range;
    const bucket = (number: number): number =>
      (first + (number & (count - 1))) * EXCEPTIONS_PER_BUCKET;
    return [bucket(place), bucket(place >>> 16)];
  }

  /** Where an earlier agent had it; else a free one. */
  #cellFor(print: FlowPrint): number | undefined {
    const [first, second] = this.#bucketsOf(print);
    if (this.#inherited) {
      const wanted = BigInt(print.print);
      const found = this.#find(first, wanted) ?? this.#find(second, wanted);
      if (found !== undefined) return found;
    }
    return this.#free(first) ?? this.#free(second) ?? this.#vacate(first) ?? this.#vacate(second);
  }

  /**
   * Moves an entry of a full bucket to its second one. It is there before it goes here, and a packet looks here first, so that it is
   * found all the time; the other way round it would not be.
   */
  #vacate(bucket: number): number | undefined {
    for (let cell = bucket; cell < bucket + EXCEPTIONS_PER_BUCKET; cell++) {
      const flow = this.#flowAt.get(cell);
      const placed = flow === undefined ? undefined : this.#placed.get(flow);
      if (flow === undefined || placed === undefined) continue;
      const [first, second] = this.#bucketsOf(placed.print);
      const free = first === bucket ? this.#free(second) : undefined;
      if (free === undefined) continue;
      this.#put(flow, { ...placed, cell: free });
      return cell;
    }
    return undefined;
  }

  #find(bucket: number, print: bigint): number | undefined {
    for (let cell = bucket; cell < bucket + EXCEPTIONS_PER_BUCKET; cell++) {
      const entry = this.#cells[cell] ?? 0n;
      if (entry !== 0n && entry >> NODE_BITS === print) return cell;
    }
    return undefined;
  }

  #free(bucket: number): number | undefined {
    for (let cell = bucket; cell < bucket + EXCEPTIONS_PER_BUCKET; cell++) {
      if (this.#cells[cell] === 0n) return cell;
    }
    return undefined;
  }

  /**
   * Writes everything to the other half, in buckets for so many, and has the program look there. What it looked at before stays as it
   * is, for a packet that is on its way. Not while somebody else's entries count, too.
   */
  #resize(exceptions: number): void {
    const count = Math.min(bucketsFor(exceptions), this.#half);
    if (this.#inherited || count === this.#range.count) return;
    this.#range = { first: this.#range.first === 0 ? this.#half : 0, count };
    this.#looked().fill(0n);
    const all = [...this.#placed];
    this.#placed.clear();
    this.#flowAt.clear();
    for (const [flow, placed] of all) {
      const cell = this.#cellFor(placed.print);
      if (cell === undefined) this.#unplaced += 1;
      else this.#put(flow, { ...placed, cell });
    }
    this.#state.exceptions = this.#range;
  }

  /** The buckets that the packet program looks at. */
  #looked(): BigUint64Array {
    const { first, count } = this.#range;
    const from = first * EXCEPTIONS_PER_BUCKET;
    return this.#cells.subarray(from, from + count * EXCEPTIONS_PER_BUCKET);
  }

  #forgetAll(): void {
    for (const { cell } of this.#placed.values()) Atomics.store(this.#cells, cell, 0n);
    this.#placed.clear();
    this.#flowAt.clear();
  }

  #removeUnknown(): void {
    const from = this.#range.first * EXCEPTIONS_PER_BUCKET;
    for (const [at, entry] of this.#looked().entries()) {
      if (entry !== 0n && !this.#flowAt.has(from + at)) Atomics.store(this.#cells, from + at, 0n);
    }
    this.#inherited = false;
  }
}

/** The memory of a loaded program's map, to be unmapped. */
export const mapExceptions = (fd: number): Mapping =>
  new Mapping(fd, EXCEPTION_BUCKETS * EXCEPTIONS_PER_BUCKET * 8);
