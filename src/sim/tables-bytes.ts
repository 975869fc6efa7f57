// Tables as they travel and as they are stored, by the real codec; each is encoded, decoded, indexed and summed once, however many
// nodes of one process have it.
import { indexTables, type IndexedTables } from "#core/steering/indexed-tables.ts";
import { decodeTables, encodeTables, tablesChecksum } from "#core/steering/tables-codec.ts";
import { NO_NODE } from "#base/ids.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "#core/steering/tables.ts";

const encoded = new WeakMap<Tables, Uint8Array>();
const decoded = new WeakMap<Uint8Array, Tables>();
const indexed = new WeakMap<Tables, IndexedTables>();
const sums = new WeakMap<Tables, number>();
const outlines = new WeakMap<Tables, string>();

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
    return tables.value;
  });

export const indexOf = (tables: Tables): IndexedTables => once(indexed, tables, indexTables);

export const sumOf = (tables: Tables): number => once(sums, tables, tablesChecksum);

/** Everything in the tables but the slots, and which version of its master's they are. */
const outlineOf = (tables: Tables): string =>
  once(outlines, tables, ({ version: { master }, groups, ...rest }) =>
    JSON.stringify([
      master,
      rest,
      groups.map(({ owners, former: _former, home: _home, holds: _holds, ...group }) => [
        owners.length,
        group,
      ]),
    ]),
  );

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

function compared(before: Tables, now: Tables): ChangedSlots {
  if (outlineOf(before) !== outlineOf(now)) return undefined;
  return now.groups.map((group, index) =>
    Uint8Array.from(group.owners, (_, slot) => {
      const old = before.groups[index];
      return old !== undefined && isSameSlot(old, group, slot) ? 0 : 1;
    }),
  );
}
