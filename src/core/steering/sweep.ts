// Chains of former owners get shorter again (B4, docs/adr/0009): who has no connection left in a slot that it owned once need not be
// asked about segments of that slot any more.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";

/** Slots by group, by the node that has no connection left in them. */
export type Unused = ReadonlyMap<NodeId, ReadonlyMap<string, ReadonlySet<number>>>;

/** Closes the gap that the former owner at this place leaves in the slot's chain. */
function leaveOut(former: Uint16Array, slot: number, at: number): void {
  const end = (slot + 1) * FORMER_OWNERS;
  former.copyWithin(at, at + 1, end);
  former[end - 1] = NO_NODE;
}

function sweptGroup(group: GroupTable, unused: Unused, late: ReadonlySet<NodeId>): GroupTable {
  let former: Uint16Array | undefined;
  for (const [node, groups] of unused) {
    for (const slot of groups.get(group.name) ?? []) {
      // of a slot on its way somebody may serve new connections whom the tables here call a former owner
      const owner = (group.owners[slot] ?? NO_NODE) as NodeId;
      if (owner === NO_NODE || late.has(owner)) continue;
      const chain = (former ?? group.former).subarray(
        slot * FORMER_OWNERS,
        (slot + 1) * FORMER_OWNERS,
      );
      const at = chain.indexOf(node);
      if (at === -1) continue;
      former ??= group.former.slice();
      leaveOut(former, slot, slot * FORMER_OWNERS + at);
    }
  }
  return former === undefined ? group : { ...group, former };
}

/**
 * The same tables without those former owners; the same object when nothing changes.
 * @param late owners whose slots are left as they are: they do not know yet what is pinned, so they ask by the chain, and whom they ask must
 *   know who comes next
 */
export function swept(tables: Tables, unused: Unused, late: ReadonlySet<NodeId>): Tables {
  if (unused.size === 0) return tables;
  const groups = tables.groups.map((group) => sweptGroup(group, unused, late));
  return groups.every((group, index) => group === tables.groups[index])
    ? tables
    : { ...tables, groups };
}
