// The slot of the tables that the flow of a client's frame falls into.
import { slotOf } from "#core/steering/hash.ts";
import type { IndexedTables } from "#core/steering/indexed-tables.ts";
import { flowOf } from "#core/steering/packet.ts";
import type { GroupTable } from "#core/steering/tables.ts";
import type { ClientFrame } from "./client-frame.ts";

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
