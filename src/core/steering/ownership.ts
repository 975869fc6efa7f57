// Words for who owns the slots of one group: owners and homes side by side, and counts by node.
import type { NodeId } from "#base/ids.ts";
import type { DesiredNode } from "./next-tables.ts";

/** Indexed by slot; the same as in GroupTable. */
export interface Shares {
  readonly owners: Uint16Array;
  readonly home: Uint16Array;
}

/** As large as it must be to be indexed by each of these nodes: room for every possible id would be most of the work. */
export function sizeFor(ids: Iterable<number>): number {
  let highest = 0;
  for (const id of ids) if (id > highest) highest = id;
  return highest + 1;
}

/** One flag per node id, up to the highest. */
export function flags(ids: readonly NodeId[]): Uint8Array {
  const result = new Uint8Array(sizeFor(ids));
  for (const id of ids) result[id] = 1;
  return result;
}

/** Flags of the nodes that may own slots. */
export const servingFlags = (serving: readonly DesiredNode[]): Uint8Array =>
  flags(serving.filter((node) => node.weight > 0).map((node) => node.id));

/** Plain loops here and wherever all slots are gone through: there may be 65 536, and iterators cost ten times as much. */
export function countByNode(owners: Uint16Array): Uint32Array {
  let highest = 0;
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = owners[slot] ?? 0;
    if (owner > highest) highest = owner;
  }
  const counts = new Uint32Array(highest + 1);
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = owners[slot] ?? 0;
    counts[owner] = (counts[owner] ?? 0) + 1;
  }
  return counts;
}
