// Chains of former owners get shorter again (B4, docs/adr/0009): who has no connection left in a slot that it owned once need not be
// asked about segments of that slot any more.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";

/** Slots by group, by the node that has no connection left in them. */
export type Unused = ReadonlyMap<NodeId, ReadonlyMap<string, ReadonlySet<number>>>;

function sweptChain(chain: Uint16Array, isUnused: (node: NodeId) => boolean): boolean {
  const kept = chain.filter((node) => node !== NO_NODE && !isUnused(node as NodeId));
  if (kept.length === chain.filter((node) => node !== NO_NODE).length) return false;
  chain.fill(NO_NODE);
  chain.set(kept);
  return true;
}

function sweptGroup(group: GroupTable, unused: Unused): GroupTable {
  const former = group.former.slice();
  let changed = false;
  for (let slot = 0; slot < group.owners.length; slot++) {
    const chain = former.subarray(slot * FORMER_OWNERS, (slot + 1) * FORMER_OWNERS);
    if (chain[0] === NO_NODE) continue;
    // of a slot on its way somebody may serve new connections whom the tables here call a former owner
    if (group.owners[slot] === NO_NODE) continue;
    if (sweptChain(chain, (node) => unused.get(node)?.get(group.name)?.has(slot) === true))
      changed = true;
  }
  return changed ? { ...group, former } : group;
}

/** The same tables without those former owners; the same object when nothing changes. */
export function swept(tables: Tables, unused: Unused): Tables {
  if (unused.size === 0) return tables;
  const groups = tables.groups.map((group) => sweptGroup(group, unused));
  return groups.every((group, index) => group === tables.groups[index])
    ? tables
    : { ...tables, groups };
}
