// The published tables in the form in which a packet meets them: one map lookup per question (B2, B14).
import { ipBytes, macBytes, type IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { HashKey } from "./hash.ts";
import type { GroupTable, Protocol, Tables } from "./tables.ts";

export interface IndexedTables {
  readonly hashKey: HashKey;
  isVip(address: Uint8Array): boolean;
  /** Table 1 (protocol, VIP, port), otherwise table 2 (protocol, VIP). */
  groupOf(protocol: Protocol, vip: Uint8Array, port: number): GroupTable | undefined;
  /** Six bytes; undefined when the node is not in the tables. */
  macOf(node: NodeId): Uint8Array | undefined;
}

/** Equal bytes, equal text: one character per byte. */
export const bytesKey = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

const serviceKey = (protocol: Protocol, vip: string, port: number | "any"): string =>
  `${protocol}/${port}/${vip}`;

/** Indexes tables once per version. Where two groups claim one service, the first in the list has it. */
export function indexTables(tables: Tables): IndexedTables {
  const keyOf = (address: IpAddress): string => bytesKey(ipBytes(address));
  const vips = new Set(tables.vips.map(keyOf));
  const macs = new Map(tables.nodes.map((row) => [row.id, macBytes(row.mac)]));
  const services = new Map<string, GroupTable>();
  for (const group of tables.groups) {
    for (const { protocol, vip, port } of group.services) {
      const key = serviceKey(protocol, keyOf(vip), port);
      if (!services.has(key)) services.set(key, group);
    }
  }
  return {
    hashKey: tables.hashKey,
    isVip: (address) => vips.has(bytesKey(address)),
    groupOf: (protocol, vip, port) => {
      const text = bytesKey(vip);
      return (
        services.get(serviceKey(protocol, text, port)) ??
        services.get(serviceKey(protocol, text, "any"))
      );
    },
    macOf: (node) => macs.get(node),
  };
}
