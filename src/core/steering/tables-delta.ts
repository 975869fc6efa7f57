// How the groups of one table follow from those of another: each group either whole, or as the slots that changed, or, where these are
// many, as the columns in which something changed; with all of its exceptions if any of these did. A group is patched only where its
// name, policy, services, size, whether it holds and whom QUIC packets may name stay; whatever else changes, changes rarely. What both tables share as arrays or
// objects is not looked into.
import type { ByteReader, ByteWriter } from "#wire/byte-cursor.ts";
import { sameExceptions, sameNamed, sameNumbers, sameService } from "./same-content.ts";
import { readColumn, type SlotColumn, writeColumn } from "./slot-column.ts";
import {
  columnsOf,
  MAX_TABLE_SLOTS,
  readExceptions,
  readGroup,
  writeCount,
  writeExceptions,
  writeGroup,
} from "./tables-body.ts";
import { MAX_NODE_ID } from "#base/ids.ts";
import { FORMER_OWNERS, type GroupTable } from "./tables.ts";
import { sameLists } from "#base/same-lists.ts";

const WHOLE = 0;
const SLOTS = 1;
const COLUMNS = 2;
const COLUMN_COUNT = 2 + FORMER_OWNERS;
/** Of all slots: where more than that changed, columns are sent. */
const MOST_LISTED = 1 / 64;

const canPatch = (base: GroupTable, next: GroupTable): boolean =>
  base.name === next.name &&
  base.policy === next.policy &&
  base.holds === next.holds &&
  base.answer === next.answer &&
  base.udpIdleMs === next.udpIdleMs &&
  sameNamed(base, next) &&
  base.owners.length === next.owners.length &&
  sameLists(base.services, next.services, sameService);

function slotDiffers(base: GroupTable, next: GroupTable, slot: number): boolean {
  if (base.owners[slot] !== next.owners[slot] || base.home[slot] !== next.home[slot]) return true;
  const first = slot * FORMER_OWNERS;
  for (let at = first; at < first + FORMER_OWNERS; at++) {
    if (base.former[at] !== next.former[at]) return true;
  }
  return false;
}

/** Undefined: more than are worth listing. */
function changedSlots(base: GroupTable, next: GroupTable): number[] | undefined {
  const changed: number[] = [];
  const { owners, home, former } = base;
  if (owners === next.owners && home === next.home && former === next.former) return changed;
  const most = Math.max(1, owners.length * MOST_LISTED);
  for (let slot = 0; slot < owners.length; slot++) {
    if (!slotDiffers(base, next, slot)) continue;
    changed.push(slot);
    if (changed.length > most) return undefined;
  }
  return changed;
}

export function writeGroupChanges(
  writer: ByteWriter,
  base: readonly GroupTable[],
  next: readonly GroupTable[],
): void {
  const indexByName = new Map(base.map((group, index) => [group.name, index]));
  const patched = new Set<number>();
  writeCount(writer, next.length);
  for (const group of next) {
    const index = indexByName.get(group.name) ?? -1;
    const before = base[index];
    if (before === undefined || patched.has(index) || !canPatch(before, group)) {
      writer.u8(WHOLE);
      writeGroup(writer, group);
      continue;
    }
    patched.add(index);
    const changed = changedSlots(before, group);
    writer.u8(changed === undefined ? COLUMNS : SLOTS);
    writer.u16(index);
    writePinned(writer, before, group);
    if (changed === undefined) writeColumns(writer, before, group);
    else writeSlots(writer, group, changed);
  }
}

function writePinned(writer: ByteWriter, base: GroupTable, next: GroupTable): void {
  const isPinnedAnew = !sameExceptions(base.exceptions, next.exceptions);
  writer.u8(isPinnedAnew ? 1 : 0);
  if (isPinnedAnew) writeExceptions(writer, next.exceptions);
}

function writeSlots(writer: ByteWriter, next: GroupTable, changed: readonly number[]): void {
  writer.u32(changed.length);
  for (const slot of changed) {
    writer.u16(slot);
    writer.u16(next.owners[slot] ?? 0);
    writer.u16(next.home[slot] ?? 0);
    for (let age = 0; age < FORMER_OWNERS; age++) {
      writer.u16(next.former[slot * FORMER_OWNERS + age] ?? 0);
    }
  }
}

function sameColumn(a: SlotColumn, b: SlotColumn | undefined): boolean {
  if (b === undefined || a.values === b.values) return b !== undefined;
  if (a.stride === 1) return sameNumbers(a.values, b.values);
  for (let at = a.first; at < a.values.length; at += a.stride) {
    if (a.values[at] !== b.values[at]) return false;
  }
  return true;
}

/** One bit for each column that changed, the owners' the lowest; then those columns. */
function writeColumns(writer: ByteWriter, base: GroupTable, next: GroupTable): void {
  const before = columnsOf(base);
  const columns = columnsOf(next);
  const differs = columns.map((column, index) => !sameColumn(column, before[index]));
  writer.u8(differs.reduce((bits, isOther, index) => bits | (isOther ? 1 << index : 0), 0));
  for (const [index, column] of columns.entries()) {
    if (differs[index] === true) writeColumn(writer, column);
  }
}

/** Undefined when the bytes are not changes to this base. */
export function readGroupChanges(
  reader: ByteReader,
  base: readonly GroupTable[],
): GroupTable[] | undefined {
  const count = reader.u16();
  const patched = new Set<number>();
  const groups: GroupTable[] = [];
  let slots = 0;
  while (groups.length < count) {
    const group = readGroupChange(reader, base, patched, MAX_TABLE_SLOTS - slots);
    if (group === undefined || reader.short) return undefined;
    slots += group.owners.length;
    groups.push(group);
  }
  return groups;
}

function readGroupChange(
  reader: ByteReader,
  base: readonly GroupTable[],
  patched: Set<number>,
  slotLimit: number,
): GroupTable | undefined {
  const kind = reader.u8();
  if (kind === WHOLE) return readGroup(reader, slotLimit);
  const index = reader.u16();
  const before = base[index];
  // Once each: else a few bytes could name a large group again and again.
  if (before === undefined || patched.has(index) || before.owners.length > slotLimit) {
    return undefined;
  }
  patched.add(index);
  const exceptions = readPinned(reader, before);
  if (exceptions === undefined || (kind !== SLOTS && kind !== COLUMNS)) return undefined;
  const pinned = exceptions === before.exceptions ? before : { ...before, exceptions };
  return kind === SLOTS ? readSlots(reader, pinned) : readColumns(reader, pinned);
}

function readPinned(
  reader: ByteReader,
  { exceptions, owners }: GroupTable,
): GroupTable["exceptions"] | undefined {
  const isPinnedAnew = reader.u8();
  if (isPinnedAnew > 1) return undefined;
  return isPinnedAnew === 1 ? readExceptions(reader, owners.length) : exceptions;
}

function readSlots(reader: ByteReader, base: GroupTable): GroupTable | undefined {
  const count = reader.u32();
  if (count === 0 || reader.short) return base;
  const [owners, home, former] = [base.owners.slice(), base.home.slice(), base.former.slice()];
  let previous = -1;
  for (let change = 0; change < count; change++) {
    const slot = reader.u16();
    const ids = [reader.u16(), reader.u16(), reader.u16(), reader.u16(), reader.u16()];
    if (reader.short || slot <= previous || slot >= owners.length) return undefined;
    if (ids.some((id) => id > MAX_NODE_ID)) return undefined;
    owners[slot] = ids[0] ?? 0;
    home[slot] = ids[1] ?? 0;
    former.set(ids.slice(2), slot * FORMER_OWNERS);
    previous = slot;
  }
  return { ...base, owners, home, former };
}

/** Columns that did not change are shared with the base, or, of the former owners, copied from it. */
function readColumns(reader: ByteReader, base: GroupTable): GroupTable | undefined {
  const bits = reader.u8();
  if (bits === 0 || bits >>> COLUMN_COUNT !== 0) return undefined;
  const slots = base.owners.length;
  const next = {
    ...base,
    owners: (bits & 1) === 0 ? base.owners : new Uint16Array(slots),
    home: (bits & 2) === 0 ? base.home : new Uint16Array(slots),
    former: bits >>> 2 === 0 ? base.former : base.former.slice(),
  };
  for (const [index, column] of columnsOf(next).entries()) {
    if ((bits & (1 << index)) !== 0 && !readColumn(reader, column)) return undefined;
  }
  return next;
}
