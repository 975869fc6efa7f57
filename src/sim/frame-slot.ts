// The slot of the tables that the flow of a client's frame falls into.
import { slotOf } from "#core/steering/hash.ts";
import type { IndexedTables } from "#core/steering/indexed-tables.ts";
import { flowOf } from "#core/steering/packet.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "#core/steering/tables.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { ClientFrame } from "./client-frame.ts";
import { indexOf } from "./tables-bytes.ts";

export interface FrameSlot {
  readonly group: GroupTable;
  readonly slot: number;
}

/** Undefined: it is of no group. */
export function slotOfFrame(tables: IndexedTables, { packet }: ClientFrame): FrameSlot | undefined {
  if (typeof packet === "string" || packet.type === "arp") return undefined;
  const flow = flowOf(packet);
  const group = flow && tables.groupOf(flow.protocol, flow.destination, flow.destinationPort);
  if (flow === undefined || group === undefined) return undefined;
  return { group, slot: slotOf(tables, group.policy, flow, group.owners.length) };
}

export interface SlotOwners {
  readonly slot: number;
  readonly owner: NodeId;
  /** Former owners, newest first. */
  readonly chain: readonly NodeId[];
}

/** Who has the slot that a frame falls into, and who had it. Undefined: it is of no group. */
export function ownersOf(tables: Tables, frame: ClientFrame): SlotOwners | undefined {
  const place = slotOfFrame(indexOf(tables), frame);
  if (place === undefined) return undefined;
  const { group, slot } = place;
  const chain = group.former.subarray(slot * FORMER_OWNERS, (slot + 1) * FORMER_OWNERS);
  return { slot, owner: (group.owners[slot] ?? NO_NODE) as NodeId, chain: [...chain] as NodeId[] };
}
