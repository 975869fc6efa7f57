// What a client's frame holds, read once, and the slot of the tables that its flow falls into.
import { slotOf } from "#core/steering/hash.ts";
import type { IndexedTables } from "#core/steering/indexed-tables.ts";
import { flowOf, type Packet, readPacket, type Unreadable } from "#core/steering/packet.ts";
import type { GroupTable } from "#core/steering/tables.ts";

const packets = new WeakMap<Uint8Array, Packet | Unreadable>();

/** Nobody changes what stands behind the MAC addresses of a frame. */
export function packetIn(frame: Uint8Array): Packet | Unreadable {
  const packet = packets.get(frame) ?? readPacket(frame);
  packets.set(frame, packet);
  return packet;
}

export interface FrameSlot {
  readonly group: GroupTable;
  readonly slot: number;
}

/** Undefined: it is of no group. */
export function slotOfFrame(tables: IndexedTables, frame: Uint8Array): FrameSlot | undefined {
  const packet = packetIn(frame);
  if (typeof packet === "string" || packet.type === "arp") return undefined;
  const flow = flowOf(packet);
  const group = flow && tables.groupOf(flow.protocol, flow.destination, flow.destinationPort);
  if (flow === undefined || group === undefined) return undefined;
  return { group, slot: slotOf(tables, group.policy, flow, group.owners.length) };
}
