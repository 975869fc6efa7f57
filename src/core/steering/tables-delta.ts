// How the groups of one table follow from those of another: each group either whole, or as the slots that changed, with all of its exceptions if any of these did. A group is
// patched only where its name, policy, services, size and whether it holds stay; whatever else changes, changes rarely.
import type { ByteReader, ByteWriter } from "#wire/byte-cursor.ts";
import { sameExceptions } from "./same-content.ts";
import {
  MAX_TABLE_SLOTS,
  readExceptions,
  readGroup,
  writeCount,
  writeExceptions,
  writeGroup,
} from "./tables-body.ts";
import { MAX_NODE_ID } from "#base/ids.ts";
import { FORMER_OWNERS, type GroupTable, type ServiceKey } from "./tables.ts";

const WHOLE = 0;
const PATCH = 1;

function sameService(a: ServiceKey, b: ServiceKey | undefined): boolean {
  return b !== undefined && a.protocol === b.protocol && a.vip === b.vip && a.port === b.port;
}

const canPatch = (base: GroupTable, next: GroupTable): boolean =>
  base.name === next.name &&
  base.policy === next.policy &&
  base.holds === next.holds &&
  base.answer === next.answer &&
  base.udpIdleMs === next.udpIdleMs &&
  base.owners.length === next.owners.length &&
  base.services.length === next.services.length &&
  base.services.every((service, index) => sameService(service, next.services[index]));

function slotDiffers(base: GroupTable, next: GroupTable, slot: number): boolean {
  if (base.owners[slot] !== next.owners[slot] || base.home[slot] !== next.home[slot]) return true;
  const first = slot * FORMER_OWNERS;
  for (let at = first; at < first + FORMER_OWNERS; at++) {
    if (base.former[at] !== next.former[at]) return true;
  }
  return false;
}

function changedSlots(base: GroupTable, next: GroupTable): number[] {
  const changed: number[] = [];
  if (base === next) return changed;
  for (let slot = 0; slot < next.owners.length; slot++) {
    if (slotDiffers(base, next, slot)) changed.push(slot);
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
    writer.u8(PATCH);
    writer.u16(index);
    writePatch(writer, before, group);
  }
}

function writePatch(writer: ByteWriter, base: GroupTable, next: GroupTable): void {
  const isPinnedAnew = !sameExceptions(base.exceptions, next.exceptions);
  writer.u8(isPinnedAnew ? 1 : 0);
  if (isPinnedAnew) writeExceptions(writer, next.exceptions);
  const changed = changedSlots(base, next);
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
  if (kind !== PATCH || before === undefined || patched.has(index)) return undefined;
  patched.add(index);
  return before.owners.length <= slotLimit ? readPatch(reader, before) : undefined;
}

function readPatch(reader: ByteReader, base: GroupTable): GroupTable | undefined {
  const isPinnedAnew = reader.u8();
  if (isPinnedAnew > 1) return undefined;
  const exceptions =
    isPinnedAnew === 1 ? readExceptions(reader, base.owners.length) : base.exceptions;
  const count = reader.u32();
  if (exceptions === undefined) return undefined;
  if (count === 0 || reader.short) return isPinnedAnew === 1 ? { ...base, exceptions } : base;
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
  return { ...base, owners, home, former, exceptions };
}
