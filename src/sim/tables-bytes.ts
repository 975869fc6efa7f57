// Tables as they travel and as they are stored, by the real codec; each is encoded, decoded and indexed once, however many nodes of one
// process have it.
import { equalBytes } from "#base/bytes-map.ts";
import { indexExceptions, indexTables, type IndexedTables } from "#core/steering/indexed-tables.ts";
import { sameExceptions, sameFrame } from "#core/steering/same-content.ts";
import { decodeTables, encodeTables, peekTables } from "#core/steering/tables-codec.ts";
import { readTables, type TablesRead } from "#core/steering/tables-in.ts";
import { NO_NODE } from "#base/ids.ts";
import {
  type Exceptions,
  FORMER_OWNERS,
  type GroupTable,
  type Tables,
} from "#core/steering/tables.ts";

const encoded = new WeakMap<Tables, Uint8Array>();
const decoded = new WeakMap<Uint8Array, Tables>();
const indexed = new WeakMap<Tables, IndexedTables>();

function once<Key extends object, Value>(
  known: WeakMap<Key, Value>,
  key: Key,
  make: (key: Key) => Value,
): Value {
  const value = known.get(key) ?? make(key);
  known.set(key, value);
  return value;
}

export const bytesOf = (tables: Tables): Uint8Array => once(encoded, tables, encodeTables);

/** Throws when they cannot be read: nobody but the codec has made them. */
export const tablesIn = (bytes: Uint8Array): Tables =>
  once(decoded, bytes, () => {
    const tables = decodeTables(bytes);
    if (!tables.ok) throw new Error(`tables that the codec made are ${tables.reason}`);
    encoded.set(tables.value, bytes); // there is one encoding of what they say
    return tables.value;
  });

/** What was read last of each delta: all members of a cluster put the same one onto the same tables. */
const applied = new WeakMap<Uint8Array, { readonly held: Tables; readonly read: TablesRead }>();

/** As they come from the master. */
export function tablesRead(held: Tables | undefined, bytes: Uint8Array): TablesRead {
  const label = peekTables(bytes);
  if (label.ok && label.value.form === "full") return { tables: tablesIn(bytes) };
  if (held === undefined) return readTables(held, bytes);
  const known = applied.get(bytes);
  if (known?.held === held) return known.read;
  const read = readTables(held, bytes);
  applied.set(bytes, { held, read });
  return read;
}

export const indexOf = (tables: Tables): IndexedTables => once(indexed, tables, indexTables);

/** Whether they are the same to the last bit. */
export const sameBytes = (a: Tables, b: Tables): boolean =>
  a === b || bytesOf(a) === bytesOf(b) || equalBytes(bytesOf(a), bytesOf(b));

function isSameSlot(a: GroupTable, b: GroupTable, slot: number): boolean {
  const owner = a.owners[slot];
  if (owner !== b.owners[slot]) return false;
  // who has an owner does not wait for one
  if (owner === NO_NODE && a.holds !== b.holds) return false;
  for (let at = slot * FORMER_OWNERS; at < (slot + 1) * FORMER_OWNERS; at++) {
    if (a.former[at] !== b.former[at]) return false;
  }
  return true;
}

type ChangedSlots = readonly Uint8Array[] | undefined;

/** What was asked last: all members of a cluster go from the same tables to the same. */
let last:
  | { readonly before: Tables; readonly now: Tables; readonly changed: ChangedSlots }
  | undefined;

/** The slots in which tables differ, one flag per slot of each group. Undefined: they differ in more than slots. */
export function changedSlots(before: Tables, now: Tables): ChangedSlots {
  if (last?.before !== before || last.now !== now) {
    last = { before, now, changed: compared(before, now) };
  }
  return last.changed;
}

/** Whether they differ in slots and what is pinned there only. */
const haveSameOutline = (a: Tables, b: Tables): boolean =>
  a.version.master === b.version.master &&
  sameFrame(a, b) &&
  a.groups.every((group, index) => group.owners.length === b.groups[index]?.owners.length);

/** Slots of flows that are pinned otherwise, or not any more. */
function markPinned(changed: Uint8Array, a: Exceptions, b: Exceptions): void {
  if (sameExceptions(a, b)) return;
  for (const { flows, nodes, slots } of [a, b]) {
    const other = indexExceptions(flows === a.flows ? b : a);
    for (const [index, flow] of flows.entries()) {
      if (other.get(flow) !== nodes[index]) changed[slots[index] ?? 0] = 1;
    }
  }
}

function compared(before: Tables, now: Tables): ChangedSlots {
  if (!haveSameOutline(before, now)) return undefined;
  return now.groups.map((group, index) => {
    const changed = new Uint8Array(group.owners.length);
    const old = before.groups[index];
    if (old === undefined) return changed.fill(1);
    for (let slot = 0; slot < changed.length; slot++) {
      if (!isSameSlot(old, group, slot)) changed[slot] = 1;
    }
    markPinned(changed, old.exceptions, group.exceptions);
    return changed;
  });
}
