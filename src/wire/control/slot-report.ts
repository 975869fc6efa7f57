// What a member tells its master about slots every few seconds: the load of those that it owns (A8), and those that it owned
// before and in which it has no connection left (B4, docs/adr/0009). Little-endian:
//
//   u8  version, 1
//   u32 epoch, u32 counter, u16 master     of the tables by which the member went
//   u16 groups, and for each:
//     u8  length of the name, and the name in UTF-8
//     u32 rates, and for each u16 slot, u32 rate
//     u32 unused slots, and for each u16 slot
//
// Slots ascend and rates are above 0, so that there is one encoding of each report. What does not fit is left out: of rates
// the smallest, and an unused slot is then simply reported later.
import { assert } from "#base/assert.ts";
import { MAX_NODE_ID, type NodeId, type TableVersion } from "#base/ids.ts";
import { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { decodeUtf8, encodeUtf8 } from "../utf8.ts";

/** Packets or bytes a second of one slot. */
export interface SlotRate {
  readonly slot: number;
  /** Whole number, 1 … 2^32 − 1. */
  readonly rate: number;
}

export interface GroupReport {
  readonly name: string;
  /** Ascending by slot; slots without traffic are left out. */
  readonly rates: readonly SlotRate[];
  /** Ascending. What is not named may still be in use. */
  readonly unused: readonly number[];
}

export interface SlotReport {
  /** By which tables the member went when it looked. */
  readonly tables: TableVersion;
  readonly groups: readonly GroupReport[];
}

export const SLOT_REPORT_VERSION = 1;
/** Of all groups together; the sender sees to it. */
export const MAX_REPORTED_RATES = 65_536;
export const MAX_REPORTED_UNUSED = 131_072;
const MAX_GROUPS = 1024;
const MAX_NAME_BYTES = 255;
const MAX_SLOT = 65_535;
const MAX_RATE = 2 ** 32 - 1;
export const MAX_SLOT_REPORT =
  13 + MAX_GROUPS * (9 + MAX_NAME_BYTES) + 6 * MAX_REPORTED_RATES + 2 * MAX_REPORTED_UNUSED;

export function encodeSlotReport({ tables, groups }: SlotReport): Uint8Array {
  assert(groups.length <= MAX_GROUPS, "a report has at most 1024 groups");
  const writer = new ByteWriter();
  writer.u8(SLOT_REPORT_VERSION);
  writer.u32(tables.epoch);
  writer.u32(tables.counter);
  writer.u16(tables.master);
  writer.u16(groups.length);
  for (const group of groups) writeGroup(writer, group);
  return writer.written().slice();
}

function writeGroup(writer: ByteWriter, { name, rates, unused }: GroupReport): void {
  const text = encodeUtf8(name);
  assert(text.byteLength <= MAX_NAME_BYTES, "the name of a group has at most 255 bytes");
  writer.u8(text.byteLength);
  writer.put(text);
  writer.u32(rates.length);
  for (const { slot, rate } of rates) {
    writer.u16(slot);
    writer.u32(rate);
  }
  writer.u32(unused.length);
  for (const slot of unused) writer.u16(slot);
}

/** Undefined when the bytes are not the encoding of a report. */
export function decodeSlotReport(bytes: Uint8Array): SlotReport | undefined {
  const reader = new ByteReader(bytes);
  if (reader.u8() !== SLOT_REPORT_VERSION) return undefined;
  const tables = { epoch: reader.u32(), counter: reader.u32(), master: reader.u16() as NodeId };
  const count = reader.u16();
  if (reader.short || tables.master > MAX_NODE_ID || count > MAX_GROUPS) return undefined;
  const groups: GroupReport[] = [];
  while (groups.length < count) {
    const group = readGroup(reader);
    if (group === undefined) return undefined;
    groups.push(group);
  }
  return reader.short || reader.remaining > 0 ? undefined : { tables, groups };
}

function readGroup(reader: ByteReader): GroupReport | undefined {
  const name = decodeUtf8(reader.take(reader.u8()));
  const rates = readAscending(reader, 6, () => ({ slot: reader.u16(), rate: reader.u32() }));
  if (name === undefined || rates === undefined) return undefined;
  if (!ascends(rates.map(({ slot }) => slot)) || rates.some(({ rate }) => rate === 0)) {
    return undefined;
  }
  const unused = readAscending(reader, 2, () => reader.u16());
  return unused === undefined || !ascends(unused) ? undefined : { name, rates, unused };
}

/** As many entries as are announced, if there are bytes for them. */
function readAscending<T>(reader: ByteReader, size: number, read: () => T): T[] | undefined {
  const count = reader.u32();
  if (reader.short || count > MAX_SLOT + 1 || count * size > reader.remaining) return undefined;
  return Array.from({ length: count }, read);
}

const ascends = (slots: readonly number[]): boolean =>
  slots.every((slot, index) => index === 0 || slot > (slots[index - 1] ?? 0));

/** A report of no more than fits: the largest rates, and as many unused slots as there is room for. */
export function boundedReport({ tables, groups }: SlotReport): SlotReport {
  const floor = smallestKept(groups);
  let [rates, unused] = [MAX_REPORTED_RATES, MAX_REPORTED_UNUSED];
  const kept = groups.slice(0, MAX_GROUPS).map((group): GroupReport => {
    const measured = group.rates
      .filter(({ rate }) => rate >= floor && rate >= 0.5)
      .slice(0, rates)
      .map(({ slot, rate }) => ({ slot, rate: Math.min(Math.round(rate), MAX_RATE) }));
    const free = group.unused.slice(0, unused);
    rates -= measured.length;
    unused -= free.length;
    return { name: group.name, rates: measured, unused: free };
  });
  return { tables, groups: kept };
}

function smallestKept(groups: readonly GroupReport[]): number {
  const all = groups.flatMap((group) => group.rates.map(({ rate }) => rate));
  if (all.length <= MAX_REPORTED_RATES) return 0;
  return all.sort((a, b) => b - a)[MAX_REPORTED_RATES - 1] ?? 0;
}
