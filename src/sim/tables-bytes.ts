// Tables as they travel and as they are stored, by the real codec; each is encoded, decoded, indexed and summed once, however many
// nodes of one process have it.
import { indexTables, type IndexedTables } from "#core/steering/indexed-tables.ts";
import { decodeTables, encodeTables, tablesChecksum } from "#core/steering/tables-codec.ts";
import type { Tables } from "#core/steering/tables.ts";

const encoded = new WeakMap<Tables, Uint8Array>();
const decoded = new WeakMap<Uint8Array, Tables>();
const indexed = new WeakMap<Tables, IndexedTables>();
const sums = new WeakMap<Tables, number>();

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
