// Tables as bytes, for the control channel and for the state folder (B9): in full, or as a delta against tables that the receiver
// says it holds. There is exactly one full form of given tables, with a CRC-32 over it. A delta has the checksums of both tables
// (tables-digest.ts), which the receiver computes again: a copy that differs in one slot would send packets to the wrong node.
//
//   full    format(1) form=0(1) preamble  groups  crc32 of all before it (4)
//   delta   format(1) form=1(1) preamble  base version(10) base checksum(4) result checksum(4)  changes
//   preamble  version(10) hash key(8) hash(1) method(1) primary VIP  nodes  VIPs  holders
//
// Integers are little-endian. The fields are in tables-body.ts, the slots in slot-column.ts, the changes in tables-delta.ts.
import { assert } from "#base/assert.ts";
import { compareVersions, type TableVersion } from "#base/ids.ts";
import { ByteReader, ByteWriter } from "#wire/byte-cursor.ts";
import { crc32 } from "#wire/crc32.ts";
import { refused, type Decoded, type DecodeFailure } from "#wire/decoded.ts";
import {
  MAX_TABLE_SLOTS,
  readGroup,
  readPreamble,
  readTableVersion,
  writeCount,
  writeGroup,
  writePreamble,
  writeTableVersion,
} from "./tables-body.ts";
import { readGroupChanges, writeGroupChanges } from "./tables-delta.ts";
import { tablesChecksum } from "./tables-digest.ts";
import type { GroupTable, Tables } from "./tables.ts";

export const TABLES_FORMAT = 6;
const FULL = 0;
const DELTA = 1;

export type DeltaApplied =
  | { readonly ok: true; readonly value: Tables; readonly length: number }
  /** needs-full: the base is not what we hold, or the result is not what the sender has. */
  | { readonly ok: false; readonly reason: DecodeFailure | "needs-full" };

export interface TablesLabel {
  readonly form: "full" | "delta";
  readonly version: TableVersion;
}

/** The full form. Asserts the limits: 65 536 slots a group, 2^20 together, 65 535 entries a list, names of 255 bytes. */
export function encodeTables(tables: Tables): Uint8Array {
  assert(countSlots(tables.groups) <= MAX_TABLE_SLOTS, "tables have at most 2^20 slots together");
  const writer = new ByteWriter();
  writer.u8(TABLES_FORMAT);
  writer.u8(FULL);
  writePreamble(writer, tables);
  writeCount(writer, tables.groups.length);
  for (const group of tables.groups) writeGroup(writer, group);
  writer.u32(crc32(writer.written()));
  return writer.written();
}

const countSlots = (groups: readonly GroupTable[]): number =>
  groups.reduce((sum, group) => sum + group.owners.length, 0);

/** What the bytes claim to be, without reading further: enough to drop what is older than ours. */
export function peekTables(bytes: Uint8Array): Decoded<TablesLabel> {
  const reader = new ByteReader(bytes);
  const form = readForm(reader);
  if (!reader.short && form === undefined) return refused("unsupported");
  const version = readTableVersion(reader);
  if (reader.short || form === undefined) return refused("incomplete");
  if (version === undefined) return refused("malformed");
  return { ok: true, value: { form, version }, length: reader.position };
}

function readForm(reader: ByteReader): TablesLabel["form"] | undefined {
  const format = reader.u8();
  const form = reader.u8();
  if (format !== TABLES_FORMAT || form > DELTA) return undefined;
  return form === FULL ? "full" : "delta";
}

/** Reads the full form; a delta is "unsupported" here. The bytes must end where the tables end. */
export function decodeTables(bytes: Uint8Array): Decoded<Tables> {
  const reader = new ByteReader(bytes);
  const form = readForm(reader);
  if (reader.short) return refused("incomplete");
  if (form !== "full") return refused("unsupported");
  const preamble = readPreamble(reader);
  const groups = preamble === undefined ? undefined : readGroups(reader);
  if (reader.short) return refused("incomplete");
  if (preamble === undefined || groups === undefined) return refused("malformed");
  const computed = crc32(bytes.subarray(0, reader.position));
  const checksum = reader.u32();
  if (reader.short) return refused("incomplete");
  if (checksum !== computed || reader.remaining > 0) return refused("malformed");
  return { ok: true, value: { ...preamble, groups }, length: reader.position };
}

function readGroups(reader: ByteReader): GroupTable[] | undefined {
  const count = reader.u16();
  const groups: GroupTable[] = [];
  let slots = 0;
  while (groups.length < count) {
    const group = readGroup(reader, MAX_TABLE_SLOTS - slots);
    if (group === undefined) return undefined;
    slots += group.owners.length;
    groups.push(group);
  }
  return groups;
}

/** What turns `base` into `next`. What both share as arrays or objects is not read for it. */
export function encodeDelta(base: Tables, next: Tables): Uint8Array {
  const writer = new ByteWriter();
  writer.u8(TABLES_FORMAT);
  writer.u8(DELTA);
  writePreamble(writer, next);
  writeTableVersion(writer, base.version);
  writer.u32(tablesChecksum(base));
  writer.u32(tablesChecksum(next));
  writeGroupChanges(writer, base.groups, next.groups);
  return writer.written();
}

/** Tables after the delta. Groups without a change are shared with `base`; neither may be written to. */
export function applyDelta(base: Tables, bytes: Uint8Array): DeltaApplied {
  const reader = new ByteReader(bytes);
  const form = readForm(reader);
  if (reader.short) return refused("incomplete");
  if (form !== "delta") return refused("unsupported");
  const preamble = readPreamble(reader);
  if (reader.short) return refused("incomplete");
  if (preamble === undefined) return refused("malformed");
  const baseVersion = readTableVersion(reader);
  const baseChecksum = reader.u32();
  const checksum = reader.u32();
  if (reader.short) return refused("incomplete");
  if (baseVersion === undefined) return refused("malformed");
  if (compareVersions(baseVersion, base.version) !== 0 || baseChecksum !== tablesChecksum(base)) {
    return { ok: false, reason: "needs-full" };
  }
  const groups = readGroupChanges(reader, base.groups);
  if (reader.short) return refused("incomplete");
  if (groups === undefined || reader.remaining > 0) return refused("malformed");
  const value = { ...preamble, groups };
  if (tablesChecksum(value) !== checksum) return { ok: false, reason: "needs-full" };
  return { ok: true, value, length: reader.position };
}
