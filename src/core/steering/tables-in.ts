// Tables as they come from the master (B9): in full, or as what differs from those that are held here. A delta that cannot be put onto
// these, whatever the reason, is answered by asking for all of them.
import { NO_TABLES, type TableVersion } from "#base/ids.ts";
import type { DecodeFailure } from "#wire/decoded.ts";
import { applyDelta, decodeTables, peekTables } from "./tables-codec.ts";
import type { Tables } from "./tables.ts";

export type TablesRead =
  | { readonly tables: Tables }
  /** damage: a delta for what is held here that cannot be read. */
  | { readonly wanted: TableVersion; readonly damage: DecodeFailure | undefined };

/**
 * @param held the newest tables known here
 * Throws when the full form cannot be read: there is nothing more to ask for.
 */
export function readTables(held: Tables | undefined, bytes: Uint8Array): TablesRead {
  const label = peekTables(bytes);
  const isDelta = label.ok && label.value.form === "delta";
  const read = isDelta && held !== undefined ? applyDelta(held, bytes) : decodeTables(bytes);
  if (read.ok) return { tables: read.value };
  const { reason } = read;
  if (!isDelta) throw new Error(`they are ${reason}`);
  const isDamaged = held !== undefined && reason !== "needs-full";
  return { wanted: held?.version ?? NO_TABLES, damage: isDamaged ? reason : undefined };
}
