// The tables that everybody who touches a packet reads (B1, B2, B3): which node owns which share of
// which service. The master computes them, every member holds a copy, `bpf/` enforces them.
import type { IpAddress, MacAddress } from "#base/address.ts";
import type { NodeId, TableVersion } from "#base/ids.ts";

/** weighted: by source address and port. sticky: by source address. wildcard-sticky: sticky over all ports of a VIP (table 2). */
export type Policy = "weighted" | "sticky" | "wildcard-sticky";
export type Protocol = "tcp" | "udp";

/** Key of table 1 (protocol, VIP, port), or of table 2 where the port is "any" (B2). */
export interface ServiceKey {
  readonly protocol: Protocol;
  readonly vip: IpAddress;
  readonly port: number | "any";
}

/** A slot remembers the three owners before the present one, newest first (docs/adr/0004). */
export const FORMER_OWNERS = 3;

/** One service group's distribution table (PDT). All arrays are indexed by slot; values are node ids, 0 = none. */
export interface GroupTable {
  readonly name: string;
  readonly policy: Policy;
  readonly services: readonly ServiceKey[];
  /** Present owner of each slot. The length is a power of two, 2 … 65 536. */
  readonly owners: Uint16Array;
  /** Earlier owners, FORMER_OWNERS per slot: former[slot * FORMER_OWNERS + k]. */
  readonly former: Uint16Array;
  /** Owner of each slot when every configuration node serves; a returning node gets these back. */
  readonly home: Uint16Array;
}

/** A node that packets may be sent to. */
export interface NodeRow {
  readonly id: NodeId;
  readonly mac: MacAddress;
}

export interface Tables {
  readonly version: TableVersion;
  /** Keys of the flow hash, 32 bits each, the same on every member. */
  readonly hashKey: readonly [number, number];
  readonly nodes: readonly NodeRow[];
  /** Every virtual address, with or without a service. */
  readonly vips: readonly IpAddress[];
  readonly groups: readonly GroupTable[];
}
