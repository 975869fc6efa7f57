// A15: a packet wants a slot that has no owner. It gets its home node if that serves, otherwise the least loaded member.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { leastLoaded, loadByNode, weighed } from "./measured-ownership.ts";
import type { Desired, DesiredGroup } from "./next-tables.ts";
import { flags, servingFlags } from "./ownership.ts";
import type { GroupTable, Tables } from "./tables.ts";

/** A slot that somebody wants, or that balancing moves. */
export interface SlotRef {
  readonly group: string;
  readonly slot: number;
}

function assignedIn(
  group: GroupTable,
  desired: DesiredGroup,
  { slots, reachable }: { slots: readonly number[]; reachable: Uint8Array },
): GroupTable {
  const serving = desired.nodes.filter((node) => node.serves && reachable[node.id] === 1);
  const serves = servingFlags(serving);
  const isMeasured = desired.balance !== "weights";
  const weights = weighed(isMeasured ? desired.loads : new Float64Array(), group.owners.length);
  const sums = loadByNode(group.owners, weights);
  const [owners, home] = [group.owners.slice(), group.home.slice()];
  for (const slot of slots) {
    if (owners[slot] !== NO_NODE) continue; // also: there is no such slot
    const own = home[slot] ?? NO_NODE;
    const taker = !isMeasured && serves[own] === 1 ? (own as NodeId) : leastLoaded(sums, serving);
    owners[slot] = taker;
    if (isMeasured && taker !== NO_NODE) home[slot] = taker;
    sums[taker] = (sums[taker] ?? 0) + (weights[slot] ?? 0);
  }
  return { ...group, owners, home };
}

/** The same tables, with owners for these slots where anybody serves. */
export function assignSlots(tables: Tables, wanted: readonly SlotRef[], desired: Desired): Tables {
  const reachable = flags(desired.nodes.map(({ id }) => id));
  const groups = tables.groups.map((group) => {
    const slots = wanted.filter((ref) => ref.group === group.name).map(({ slot }) => slot);
    const wish = desired.groups.find(({ name }) => name === group.name);
    return slots.length === 0 || wish === undefined
      ? group
      : assignedIn(group, wish, { slots, reachable });
  });
  return { ...tables, groups };
}

/** The same tables, with one slot of a measured group meant for another node. */
export function meanSlotFor(tables: Tables, { group, slot }: SlotRef, to: NodeId): Tables {
  const groups = tables.groups.map((table) => {
    if (table.name !== group) return table;
    const [owners, home] = [table.owners.slice(), table.home.slice()];
    owners[slot] = to;
    home[slot] = to;
    return { ...table, owners, home };
  });
  return { ...tables, groups };
}
