// Words for who owns the slots of one group: owners and homes side by side, and counts by node.
import { MAX_NODE_ID, type NodeId } from "#base/ids.ts";
import type { DesiredNode } from "./next-tables.ts";

/** Indexed by slot; the same as in GroupTable. */
export interface Shares {
  readonly owners: Uint16Array;
  readonly home: Uint16Array;
}

/** One flag per node id. */
export function flags(ids: Iterable<NodeId>): Uint8Array {
  const result = new Uint8Array(MAX_NODE_ID + 1);
  for (const id of ids) result[id] = 1;
  return result;
}

/** Flags of the nodes that may own slots. */
export const servingFlags = (serving: readonly DesiredNode[]): Uint8Array =>
  flags(serving.filter((node) => node.weight > 0).map((node) => node.id));

export function countByNode(
  owners: Uint16Array,
  counts = new Uint32Array(MAX_NODE_ID + 1),
): Uint32Array {
  for (const owner of owners) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}
