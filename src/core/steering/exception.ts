// Stage exception of the packet pipeline: is the connection, or UDP session (B12), pinned to a node that is not its slot's owner (B4,
// docs/adr/0016)? Asked once, by the node that would decide by the slot: where a frame enters the cluster, or, of a flooded one, by
// whoever takes it. A SYN goes to the owner whatever is pinned; an owner asks its own connections first, as it does along a chain; and
// the node that a flow is pinned to is asked like a former owner. So a client that uses its port again is not sent astray by an
// exception whose connection has ended, or whose node has no agent any more. Follows bpf/exception.h.
import { NO_NODE } from "#base/ids.ts";
import { askedBit } from "#wire/ethernet-hop.ts";
import type { Decision } from "./fragments.ts";
import type { IndexedTables } from "./indexed-tables.ts";
import {
  here,
  isSegment,
  ownerOf,
  takesFlooded,
  type Arrival,
  type Owning,
  type Slot,
} from "./own.ts";
import type { Flow } from "./packet.ts";

export interface Pinning extends Owning {
  readonly tables: Pick<IndexedTables, "macOf" | "master" | "pinnedTo">;
}

/** Undefined: the slot decides. */
export function exception(
  flow: Flow,
  slot: Slot,
  { hop, flooded }: Arrival,
  context: Pinning,
): Decision | undefined {
  if (hop > 0 || !isSegment(flow, slot)) return undefined;
  if (flooded && !takesFlooded(slot, context)) return undefined;
  const node = context.tables.pinnedTo(slot.group, flow);
  if (node === NO_NODE) return undefined;
  if (node === context.self) return context.knows(flow) ? here("pass-exception") : undefined;
  const isOwn = flooded || ownerOf(slot) === context.self;
  if (isOwn && context.knows(flow)) return undefined;
  return { reason: "forward-exception", node, hop: 2, asked: isOwn ? askedBit(context.self) : 0 };
}
