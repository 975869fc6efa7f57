// Exceptions for tests, written as flows (B4).
import { ip, ipBytes } from "#base/address.ts";
import { flowKey, type FlowKey } from "#wire/flow-key.ts";
import { placeOf } from "../exceptions.ts";
import { indexTables } from "../indexed-tables.ts";
import type { Exceptions, Tables } from "../tables.ts";

export interface PinnedFlow {
  readonly from: readonly [address: string, port: number];
  readonly to: readonly [vip: string, port: number];
  readonly node: number;
  /** TCP unless it is said. */
  readonly protocol?: number;
}

export const keyOf = ({ from, to, protocol = 6 }: Omit<PinnedFlow, "node">): FlowKey =>
  flowKey({
    protocol,
    source: ipBytes(ip(from[0])),
    sourcePort: from[1],
    destination: ipBytes(ip(to[0])),
    destinationPort: to[1],
  });

/** In the order in which tables have them. */
export function exceptionsOf(
  entries: readonly { readonly flow: FlowKey; readonly node: number; readonly slot: number }[],
): Exceptions {
  const sorted = [...entries].sort((a, b) => (a.flow < b.flow ? -1 : 1));
  return {
    flows: sorted.map(({ flow }) => flow),
    nodes: Uint16Array.from(sorted, ({ node }) => node),
    slots: Uint16Array.from(sorted, ({ slot }) => slot),
  };
}

/** The same tables with these flows pinned. */
export function pinning(tables: Tables, flows: readonly PinnedFlow[]): Tables {
  const indexed = indexTables(tables);
  const placed = flows.flatMap((pinned) => {
    const flow = keyOf(pinned);
    const place = placeOf(indexed, flow);
    return place === undefined ? [] : [{ ...place, flow, node: pinned.node }];
  });
  const groups = tables.groups.map((group) => ({
    ...group,
    exceptions: exceptionsOf(placed.filter((each) => each.group === group)),
  }));
  return { ...tables, groups };
}
