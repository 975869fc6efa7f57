// Connections that are pinned to a node (B4), where the packet program finds them: in one of two buckets of a cache line each. Shared
// memory, written an entry at a time, so ten thousand take a few milliseconds. Follows bpf/exception.h.
import type { Exceptions } from "#core/steering/tables.ts";
import { flowPrint, type FlowKey } from "#wire/flow-key.ts";
import { EXCEPTIONS_PER_BUCKET } from "./abi.gen.ts";
import { Mapping } from "../libc.ts";

/** A bucket has room for four times what it gets on average, so that both of a flow's are never full. */
const SPARSENESS = 4;
/** Fuller than this, and the other bucket gets it if that is emptier. */
const FULL_ENOUGH = 6;
const NODE_BITS = 12n;

/** For so many exceptions; a power of two. */
export const exceptionBuckets = (exceptions: number): number =>
  2 ** Math.ceil(Math.log2((exceptions * SPARSENESS) / EXCEPTIONS_PER_BUCKET));

interface Placed {
  readonly cell: number;
  readonly entry: bigint;
}

export class ExceptionMap {
  readonly #cells: BigUint64Array;
  readonly #mask: number;
  readonly #placed = new Map<FlowKey, Placed>();
  #hashKey: readonly [number, number] = [0, 0];
  /** Of an earlier agent: which flows they are is not known here. */
  #inherited: boolean;
  #unplaced = 0;

  /** @param cells the map's memory */
  constructor(cells: BigUint64Array) {
    this.#cells = cells;
    this.#mask = cells.length / EXCEPTIONS_PER_BUCKET - 1;
    this.#inherited = cells.some((cell) => cell !== 0n);
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
    }
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
    const wanted = groups.reduce((sum, { flows }) => sum + flows.length, 0);
    const before = this.#placed.size;
    if (before !== wanted) {
      const stay = new Set(groups.flatMap(({ flows }) => flows));
      for (const [flow, { cell }] of this.#placed) {
        if (stay.has(flow)) continue;
        Atomics.store(this.#cells, cell, 0n);
        this.#placed.delete(flow);
      }
    }
    if (this.#inherited) this.#removeUnknown();
    return before - this.#placed.size;
  }

  #set(flow: FlowKey, node: number): boolean {
    const known = this.#placed.get(flow);
    if (known !== undefined && Number(known.entry & 0xfffn) === node) return false;
    const { print, place } = flowPrint(this.#hashKey, flow);
    const entry = (BigInt(print) << NODE_BITS) | BigInt(node);
    const cell = known?.cell ?? this.#cellFor(BigInt(print), place);
    if (cell === undefined) {
      this.#unplaced += 1;
      return false;
    }
    Atomics.store(this.#cells, cell, entry);
    this.#placed.set(flow, { cell, entry });
    return true;
  }

  /** Where an earlier agent had it; else a free one. */
  #cellFor(print: bigint, place: number): number | undefined {
    const first = (place & this.#mask) * EXCEPTIONS_PER_BUCKET;
    const second = ((place >>> 16) & this.#mask) * EXCEPTIONS_PER_BUCKET;
    if (this.#inherited) {
      const found = this.#find(first, print) ?? this.#find(second, print);
      if (found !== undefined) return found;
    }
    const [own, other] = [this.#free(first), this.#free(second)];
    const isCrowded = own.used >= FULL_ENOUGH && other.used < own.used;
    return isCrowded ? other.cell : (own.cell ?? other.cell);
  }

  #find(bucket: number, print: bigint): number | undefined {
    for (let cell = bucket; cell < bucket + EXCEPTIONS_PER_BUCKET; cell++) {
      const entry = this.#cells[cell] ?? 0n;
      if (entry !== 0n && entry >> NODE_BITS === print) return cell;
    }
    return undefined;
  }

  #free(bucket: number): { readonly used: number; readonly cell: number | undefined } {
    let [used, free]: [number, number | undefined] = [0, undefined];
    for (let cell = bucket; cell < bucket + EXCEPTIONS_PER_BUCKET; cell++) {
      if (this.#cells[cell] !== 0n) used += 1;
      else free ??= cell;
    }
    return { used, cell: free };
  }

  #forgetAll(): void {
    for (const { cell } of this.#placed.values()) Atomics.store(this.#cells, cell, 0n);
    this.#placed.clear();
  }

  #removeUnknown(): void {
    const known = new Set(Array.from(this.#placed.values(), ({ cell }) => cell));
    for (const [cell, entry] of this.#cells.entries()) {
      if (entry !== 0n && !known.has(cell)) Atomics.store(this.#cells, cell, 0n);
    }
    this.#inherited = false;
  }
}

/** The memory of a loaded program's map, to be unmapped. */
export const mapExceptions = (fd: number, buckets: number): Mapping =>
  new Mapping(fd, buckets * EXCEPTIONS_PER_BUCKET * 8);

export const cellsOf = ({ bytes }: Mapping): BigUint64Array =>
  new BigUint64Array(bytes.buffer, bytes.byteOffset, bytes.byteLength / 8);
