// The published tables in the form in which a packet meets them: one map lookup per question (B2, B14).
import { ipBytes, macBytes, type IpAddress } from "#base/address.ts";
import { clusterMac, FLOODED_METHODS, type HashKind } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { HashKey } from "./hash.ts";
import { isRouted, type GroupTable, type Protocol, type Tables } from "./tables.ts";

export interface IndexedTables {
  readonly hash: HashKind;
  readonly hashKey: HashKey;
  /** Who published them. */
  readonly master: NodeId;
  isVip(address: Uint8Array): boolean;
  /** One of the three addresses that every member listens to, whatever the method is. */
  isClusterMac(mac: Uint8Array): boolean;
  /** Table 1 (protocol, VIP, port), otherwise table 2 (protocol, VIP), otherwise table 3 (VIP). Protocols by their number. */
  groupOf(protocol: number, vip: Uint8Array, port: number): GroupTable | undefined;
  /** The group of traffic through the cluster; where there are more, the first. */
  readonly routed: GroupTable | undefined;
  /** Six bytes; undefined when the node is not in the tables. */
  macOf(node: NodeId): Uint8Array | undefined;
}

/** Equal bytes, equal text: one character per byte. */
export const bytesKey = (bytes: Uint8Array): string => String.fromCharCode(...bytes);

const ANY_PROTOCOL = 0;
const NUMBERS: Readonly<Record<Protocol, number>> = {
  tcp: PROTOCOL_TCP,
  udp: PROTOCOL_UDP,
  any: ANY_PROTOCOL,
};

const serviceKey = (protocol: number, vip: string, port: number | "any"): string =>
  `${protocol}/${port}/${vip}`;

function clusterMacs({ delivery: { primary } }: Tables): Set<string> {
  if (primary === undefined) return new Set();
  return new Set(FLOODED_METHODS.map((method) => bytesKey(macBytes(clusterMac(method, primary)))));
}

/** Indexes tables once per version. Where two groups claim one service, the first in the list has it. */
export function indexTables(tables: Tables): IndexedTables {
  const keyOf = (address: IpAddress): string => bytesKey(ipBytes(address));
  const vips = new Set(tables.vips.map(keyOf));
  const shared = clusterMacs(tables);
  const macs = new Map(tables.nodes.map((row) => [row.id, macBytes(row.mac)]));
  const services = new Map<string, GroupTable>();
  for (const group of tables.groups.filter(({ policy }) => !isRouted(policy))) {
    for (const { protocol, vip, port } of group.services) {
      const key = serviceKey(NUMBERS[protocol], keyOf(vip), port);
      if (!services.has(key)) services.set(key, group);
    }
  }
  return {
    hash: tables.hash,
    hashKey: tables.hashKey,
    master: tables.version.master,
    routed: tables.groups.find(({ policy }) => isRouted(policy)),
    isVip: (address) => vips.has(bytesKey(address)),
    isClusterMac: (address) => shared.has(bytesKey(address)),
    groupOf: (protocol, vip, port) => {
      const text = bytesKey(vip);
      return (
        services.get(serviceKey(protocol, text, port)) ??
        services.get(serviceKey(protocol, text, "any")) ??
        services.get(serviceKey(ANY_PROTOCOL, text, "any"))
      );
    },
    macOf: (node) => macs.get(node),
  };
}
