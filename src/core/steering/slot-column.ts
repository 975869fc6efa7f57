// One column of a distribution table as bytes: the owners, the homes, or the former owners of one age. Either raw, two bytes a
// slot, or as runs of equal values (value, length − 1), whichever is shorter; raw when equal. In the steady state there are no
// former owners, and three columns of 65 536 zeros are 21 bytes.
import { MAX_NODE_ID } from "#base/ids.ts";
import type { ByteReader, ByteWriter } from "#wire/byte-cursor.ts";

const RAW = 0;
const RUNS = 1;
const RUN_LENGTH = 4;

/** Every `stride`-th value of an array, from `first` on: `count` slots. */
export interface SlotColumn {
  readonly values: Uint16Array;
  readonly first: number;
  readonly stride: number;
  readonly count: number;
}

export const wholeColumn = (values: Uint16Array): SlotColumn => ({
  values,
  first: 0,
  stride: 1,
  count: values.length,
});

const isShorterAsRuns = (runs: number, slots: number): boolean => runs * RUN_LENGTH < slots * 2;

function countRuns({ values, first, stride, count }: SlotColumn): number {
  let runs = 1;
  for (let slot = 1, at = first + stride; slot < count; slot++, at += stride) {
    if (values[at] !== values[at - stride]) runs++;
  }
  return runs;
}

export function writeColumn(writer: ByteWriter, column: SlotColumn): void {
  const runs = countRuns(column);
  if (!isShorterAsRuns(runs, column.count)) {
    writer.u8(RAW);
    fillRaw(writer.claim(2 * column.count), column);
    return;
  }
  writer.u8(RUNS);
  writer.u16(runs);
  const { values, first, stride, count } = column;
  for (let slot = 0; slot < count;) {
    const value = values[first + slot * stride] ?? 0;
    let end = slot + 1;
    while (end < count && values[first + end * stride] === value) end++;
    writer.u16(value);
    writer.u16(end - slot - 1);
    slot = end;
  }
}

function fillRaw(out: Uint8Array, { values, first, stride, count }: SlotColumn): void {
  for (let slot = 0, at = first; slot < count; slot++, at += stride) {
    const value = values[at] ?? 0;
    out[2 * slot] = value & 0xff;
    out[2 * slot + 1] = value >> 8;
  }
}

/** Fills the column. False when the bytes are too few, or not the one encoding of what they say. */
export function readColumn(reader: ByteReader, column: SlotColumn): boolean {
  switch (reader.u8()) {
    case RAW:
      return readRaw(reader.take(2 * column.count), column);
    case RUNS:
      return readRuns(reader, column);
    default:
      return false;
  }
}

function readRaw(bytes: Uint8Array, column: SlotColumn): boolean {
  const { values, first, stride, count } = column;
  if (bytes.byteLength < 2 * count) return false;
  let highest = 0;
  for (let slot = 0, at = first; slot < count; slot++, at += stride) {
    const value = (bytes[2 * slot] ?? 0) | ((bytes[2 * slot + 1] ?? 0) << 8);
    values[at] = value;
    if (value > highest) highest = value;
  }
  return highest <= MAX_NODE_ID && !isShorterAsRuns(countRuns(column), count);
}

function readRuns(reader: ByteReader, { values, first, stride, count }: SlotColumn): boolean {
  const runs = reader.u16();
  if (runs === 0 || !isShorterAsRuns(runs, count)) return false;
  let slot = 0;
  let previous = -1;
  for (let run = 0; run < runs; run++) {
    const value = reader.u16();
    const end = slot + reader.u16() + 1;
    if (reader.short || end > count || value > MAX_NODE_ID || value === previous) return false;
    for (; slot < end; slot++) values[first + slot * stride] = value;
    previous = value;
  }
  return slot === count;
}
