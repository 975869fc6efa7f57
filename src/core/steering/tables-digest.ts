// One number by which two nodes compare their tables (B9): a CRC-32 over what they say, put together from those of their parts. Parts that
// a version shares with the one before, as arrays or objects, are not read again: of a table with 65 536 slots and ten thousand pinned
// connections a change touches little. So what was counted once must not be written to.
import { ByteWriter } from "#wire/byte-cursor.ts";
import { crc32 } from "#wire/crc32.ts";
import { type SlotColumn, writeColumn } from "./slot-column.ts";
import { columnsOf, writeExceptions, writeGroupHead, writePreamble } from "./tables-body.ts";
import type { Exceptions, GroupTable, Tables } from "./tables.ts";

/** Of each column that begins at some place of the array. */
const ofColumns = new WeakMap<Uint16Array, Map<number, number>>();
const ofExceptions = new WeakMap<Exceptions, number>();
/** What is sent is what the next ones build on. */
const ofTables = new WeakMap<Tables, number>();
const ofGroups = new WeakMap<GroupTable, number>();

function digest(write: (writer: ByteWriter) => void): number {
  const writer = new ByteWriter();
  write(writer);
  return crc32(writer.written());
}

interface Memory<K, V> {
  get(key: K): V | undefined;
  set(key: K, value: V): unknown;
}

function known<K, V>(memory: Memory<K, V>, part: K, make: () => V): V {
  let result = memory.get(part);
  if (result === undefined) memory.set(part, (result = make()));
  return result;
}

function columnDigest(column: SlotColumn): number {
  const starts = known(ofColumns, column.values, () => new Map<number, number>());
  return known(starts, column.first, () => digest((writer) => writeColumn(writer, column)));
}

const exceptionsDigest = (exceptions: Exceptions): number =>
  known(ofExceptions, exceptions, () => digest((writer) => writeExceptions(writer, exceptions)));

const groupDigest = (group: GroupTable): number =>
  known(ofGroups, group, () =>
    digest((writer) => {
      writeGroupHead(writer, group);
      for (const column of columnsOf(group)) writer.u32(columnDigest(column));
      writer.u32(exceptionsDigest(group.exceptions));
    }),
  );

/** Equal for equal tables, whichever way they were received; 0 … 2^32 − 1. */
export const tablesChecksum = (tables: Tables): number =>
  known(ofTables, tables, () =>
    digest((writer) => {
      writePreamble(writer, tables);
      for (const group of tables.groups) writer.u32(groupDigest(group));
    }),
  );
