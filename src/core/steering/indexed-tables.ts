// The published tables in the form in which a packet meets them: one map lookup per question (B2, B14).
import { ipBytes, macBytes, type IpAddress } from "#base/address.ts";
import { BytesMap, startsWith } from "#base/bytes-map.ts";
import { clusterMac, FLOODED_METHODS, type HashKind } from "#base/delivery.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { flowKey, type FlowEnds, type FlowKey } from "#wire/flow-key.ts";
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import type { HashKey } from "./hash.ts";
import {
  isRouted,
  type Exceptions,
  type GroupTable,
  type Protocol,
  type Tables,
} from "./tables.ts";

export interface IndexedTables {
  readonly hash: HashKind;
  readonly hashKey: HashKey;
  /** Who published them. */
  readonly master: NodeId;
  isVip(address: Uint8Array): boolean;
  /** Who answers for the VIP (B10); NO_NODE: nobody. Undefined: it is none. */
  holderOf(address: Uint8Array): NodeId | "master" | undefined;
  /** Whether these bytes begin, as a frame does, with one of the three addresses that every member listens to, whatever the method is. */
  isClusterMac(frame: Uint8Array): boolean;
  /** Table 1 (protocol, VIP, port), otherwise table 2 (protocol, VIP), otherwise table 3 (VIP). Protocols by their number. */
  groupOf(protocol: number, vip: Uint8Array, port: number): GroupTable | undefined;
  /** The group of traffic through the cluster; where there are more, the first. */
  readonly routed: GroupTable | undefined;
  /** The node that a flow of this group is pinned to; NO_NODE: none. */
  pinnedTo(group: GroupTable, flow: FlowEnds): NodeId;
  /** Six bytes; undefined when the node is not in the tables. */
  macOf(node: NodeId): Uint8Array | undefined;
}

const ANY_PROTOCOL = 0;
const ANY_PORT = 65_536;
const NUMBERS: Readonly<Record<Protocol, number>> = {
  tcp: PROTOCOL_TCP,
  udp: PROTOCOL_UDP,
  any: ANY_PROTOCOL,
};

/** A service of one VIP as a number: the protocol's, and the port's or that of any. */
const serviceKey = (protocol: number, port: number): number => protocol * (ANY_PORT + 1) + port;

const clusterMacs = ({ delivery: { primary } }: Tables): Uint8Array[] =>
  primary === undefined
    ? []
    : FLOODED_METHODS.map((method) => macBytes(clusterMac(method, primary)));

/** Of each VIP its services; of a VIP without any, an empty map. */
function servicesOf({ vips, groups }: Tables): BytesMap<Map<number, GroupTable>> {
  const services = new BytesMap<Map<number, GroupTable>>();
  const ofVip = (vip: IpAddress): Map<number, GroupTable> => {
    const address = ipBytes(vip);
    const known = services.get(address) ?? new Map<number, GroupTable>();
    services.set(address, known);
    return known;
  };
  for (const vip of vips) ofVip(vip);
  for (const group of groups.filter(({ policy }) => !isRouted(policy))) {
    for (const { protocol, vip, port } of group.services) {
      const key = serviceKey(NUMBERS[protocol], port === "any" ? ANY_PORT : port);
      const known = ofVip(vip);
      if (!known.has(key)) known.set(key, group);
    }
  }
  return services;
}

export const indexExceptions = ({ flows, nodes }: Exceptions): Map<FlowKey, NodeId> =>
  new Map(flows.map((flow, index) => [flow, (nodes[index] ?? NO_NODE) as NodeId]));

/** Indexes tables once per version. Where two groups claim one service, the first in the list has it. */
export function indexTables(tables: Tables): IndexedTables {
  const vips = new BytesMap<NodeId | "master">();
  for (const [index, vip] of tables.vips.entries()) {
    vips.set(ipBytes(vip), tables.vipHolders?.holders[index] ?? "master");
  }
  const shared = clusterMacs(tables);
  const macs = new Map(tables.nodes.map((row) => [row.id, macBytes(row.mac)]));
  const services = servicesOf(tables);
  const pins = new Map<GroupTable, ReadonlyMap<FlowKey, NodeId>>();
  return {
    hash: tables.hash,
    hashKey: tables.hashKey,
    master: tables.version.master,
    routed: tables.groups.find(({ policy }) => isRouted(policy)),
    isVip: (address) => vips.has(address),
    holderOf: (address) => vips.get(address),
    isClusterMac: (frame) => shared.some((mac) => startsWith(frame, mac)),
    groupOf: (protocol, vip, port) => {
      const known = services.get(vip);
      return (
        known?.get(serviceKey(protocol, port)) ??
        known?.get(serviceKey(protocol, ANY_PORT)) ??
        known?.get(serviceKey(ANY_PROTOCOL, ANY_PORT))
      );
    },
    pinnedTo: (group, flow) => {
      if (group.exceptions.flows.length === 0) return NO_NODE;
      let pinned = pins.get(group);
      if (pinned === undefined) pins.set(group, (pinned = indexExceptions(group.exceptions)));
      return pinned.get(flowKey(flow)) ?? NO_NODE;
    },
    macOf: (node) => macs.get(node),
  };
}
