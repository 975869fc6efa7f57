// The small cluster of the steering vectors: node 1 is the node under test; every slot of a group has the same
// owner where the case is not about hashing, so that a case can be checked by reading it.
import { ip, ipBytes, mac, type IpAddress } from "#base/address.ts";
import { BytesMap } from "#base/bytes-map.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import type { Tunnel } from "#wire/tunnel.ts";
import type { Reason } from "../reasons.ts";
import type { Tunnels } from "../tunnels.ts";
import {
  NO_EXCEPTIONS,
  type Exceptions,
  type GroupTable,
  type Policy,
  type Protocol,
  type ServiceKey,
  type Tables,
} from "../tables.ts";
import { ethernet, ipv4, ipv6, tcp, udp, type Ports } from "./frames.ts";

/** A TCP connection in the own table of the node under test. */
export interface Known {
  readonly client: { readonly ip: IpAddress; readonly port: number };
  readonly server: { readonly ip: IpAddress; readonly port: number };
}

/** A node beyond the segment, from the node under test. */
export interface TestTunnel extends Tunnel {
  readonly node: number;
}

export interface Step {
  readonly frame: Uint8Array;
  readonly reason: Reason;
  /** What the frame becomes where it comes out of a tunnel or goes into one; `header` does not say it then. */
  readonly becomes?: Uint8Array;
  /** For a forward: the first 12 bytes of the frame afterwards, in hex. Otherwise the frame stays as it is. */
  readonly header?: string;
  /** For a pass: the stack must be told that the frame is for this host. */
  readonly toHost?: true;
}

/** One case: frames that arrive one after another at node 1 (SELF), whose fragment memory is empty at first. */
export interface Vector {
  readonly name: string;
  readonly tables: Tables;
  readonly leased: boolean;
  /** It may take frames that came to a cluster MAC. */
  readonly accepting: boolean;
  readonly known: readonly Known[];
  /** Nodes that are beyond the segment. */
  readonly tunnels: readonly TestTunnel[];
  readonly steps: readonly Step[];
}

/** The cluster MACs that follow from VIP4, 0a.00.00.64. */
export const SHARED = {
  unicast: "02:bf:0a:00:00:64",
  multicast: "03:bf:0a:00:00:64",
  igmp: "01:00:5e:7f:00:64",
} as const;
export const SELF = { id: nodeId(1), mac: "02:50:00:00:00:01" } as const;
export const VIP4 = "10.0.0.100";
export const VIP6 = "2001:db8::100";
export const CLIENT4 = "192.0.2.7";
export const CLIENT6 = "2001:db8:1::7";
export const CLIENT_PORT = 40_000;
/** An address of node 1 itself; no VIP. */
export const OWN4 = "10.0.0.1";
export const ROUTER_MAC = "02:aa:00:00:00:fe";

/** As a packet of node 1 meets them; undefined where there are none. */
export function tunnelsOf(list: readonly TestTunnel[]): Tunnels | undefined {
  if (list.length === 0) return undefined;
  const ends = new BytesMap<NodeId>();
  for (const { destination, node } of list) ends.set(destination, nodeId(node));
  return {
    address: ipBytes(ip(OWN4)),
    to: (id) => list.find(({ node }) => node === id),
    from: (address) => ends.get(address),
  };
}

export interface Slots {
  readonly owners: readonly number[];
  /** Of every slot. */
  readonly former?: readonly number[];
  readonly holds?: boolean;
  readonly exceptions?: Exceptions;
  readonly udpIdleMs?: number;
}

function group(
  name: string,
  policy: Policy,
  services: readonly ServiceKey[],
  { owners, former = [], holds = false, exceptions = NO_EXCEPTIONS, udpIdleMs = 0 }: Slots,
): GroupTable {
  const chain = [0, 1, 2].map((index) => former[index] ?? 0);
  return {
    name,
    policy,
    holds,
    services,
    owners: Uint16Array.from(owners),
    former: Uint16Array.from(owners.flatMap(() => chain)),
    home: Uint16Array.from(owners),
    exceptions,
    udpIdleMs,
  };
}

const both = (protocol: Protocol, port: number | "any"): ServiceKey[] =>
  [VIP4, VIP6].map((vip) => ({ protocol, vip: ip(vip), port }));

const anything = (vip: string): ServiceKey => ({ protocol: "any", vip: ip(vip), port: "any" });

/**
 * Group "web" (TCP 80 and UDP 53, weighted) as given; "ftp" (all other TCP ports, table 2) belongs to node 4;
 * "spread" (TCP 8080, weighted) and "stick" (TCP 9090, sticky): slots 0 … 3 belong to nodes 1 … 4.
 * "whole" (weighted) and "whole-stick" (sticky) have a VIP each, with any protocol (table 3). Node 9 owns slots in some cases, but has no MAC.
 */
export function tablesWith(web: Slots): Tables {
  const groups = [
    group("web", "weighted", [...both("tcp", 80), ...both("udp", 53)], web),
    group("ftp", "wildcard-sticky", both("tcp", "any"), { owners: [4, 4] }),
    group("spread", "weighted", both("tcp", 8080), { owners: [1, 2, 3, 4] }),
    group("stick", "sticky", both("tcp", 9090), { owners: [1, 2, 3, 4] }),
    group("whole", "weighted", [anything("10.0.0.102")], { owners: [1, 2, 3, 4] }),
    group("whole-stick", "sticky", [anything("10.0.0.103")], { owners: [1, 2, 3, 4] }),
  ];
  return {
    version: { epoch: 1, counter: 1, master: SELF.id },
    hashKey: [0x6a09e667, 0xbb67ae85],
    hash: "keyed",
    delivery: { method: "forward", primary: ip(VIP4) },
    nodes: [1, 2, 3, 4, 5].map((id) => ({ id: nodeId(id), mac: mac(`02:50:00:00:00:0${id}`) })),
    vips: [VIP4, VIP6, "10.0.0.101", "10.0.0.102", "10.0.0.103"].map(ip),
    groups,
  };
}

/** All slots of "web" belong to one node. */
export const owned = (owner: number, former: readonly number[] = []): Tables =>
  tablesWith({ owners: [owner, owner], former });

/** The same where packets of slots without an owner wait; nobody owns a slot of "web". */
export const held = (former: readonly number[] = []): Tables =>
  tablesWith({ owners: [0, 0], former, holds: true });

/** With a group "quic" (UDP 443), all of whose slots belong to one node. */
export function quic(owner: number, named: readonly number[] = [1, 2, 3, 4, 5, 9]): Tables {
  const tables = owned(1);
  const slots = { owners: [owner, owner] };
  const served = {
    ...group("quic", "quic", both("udp", 443), slots),
    named: named.map(nodeId),
  };
  return { ...tables, groups: [...tables.groups, served] };
}

/** With a group of traffic through the cluster, whose slots 0 … 3 belong to nodes 1 … 4, or all to one node. */
export function routing(
  policy: "routed" | "routed-symmetric",
  slots: Slots = { owners: [1, 2, 3, 4] },
): Tables {
  const tables = owned(1);
  return { ...tables, groups: [...tables.groups, group("through", policy, [], slots)] };
}

export const KNOWN4: Known = {
  client: { ip: ip(CLIENT4), port: CLIENT_PORT },
  server: { ip: ip(VIP4), port: 80 },
};
export const KNOWN6: Known = {
  client: { ip: ip(CLIENT6), port: CLIENT_PORT },
  server: { ip: ip(VIP6), port: 80 },
};

/** HH of a forwarder's source MAC, in hex: the hop, and above it a bit for each node that has been asked. */
const wayByte = (hop: number, asked: readonly number[]): string =>
  asked
    .reduce((byte, node) => byte | (8 << (node % 5)), hop)
    .toString(16)
    .padStart(2, "0");

/** Source MAC of a frame that a peer forwarded. `asked`: who has been asked in vain, the peer itself from the second hop on. */
export const peerMac = (hop: number, by = 7, asked = hop > 1 ? [by] : []): string =>
  `06:50:4e:${wayByte(hop, asked)}:00:0${by}`;

/** Both MAC addresses of a frame that node 1 has sent on with that hop, after these have been asked; in hex. */
export const sentTo = (to: number, hop: number, asked: readonly number[] = []): string =>
  `02500000000${to} 06504e${wayByte(hop, asked)}0001`;

export interface Came {
  /** The last forwarder's hop; 0: from the router. */
  readonly hop?: number;
  readonly to?: string;
  /** Instead of the MAC that follows from the hop. */
  readonly from?: string;
}

const link = ({ hop = 0, to = SELF.mac, from }: Came): { to: string; from: string } => ({
  to,
  from: from ?? (hop === 0 ? ROUTER_MAC : peerMac(hop)),
});

export const frame4 = (packet: Uint8Array, came: Came = {}): Uint8Array =>
  ethernet(link(came), 0x0800, packet);
export const frame6 = (packet: Uint8Array, came: Came = {}): Uint8Array =>
  ethernet(link(came), 0x86dd, packet);
export const TO_VIP4 = { source: CLIENT4, destination: VIP4 };
export const TO_VIP6 = { source: CLIENT6, destination: VIP6 };
export const portsTo = (to: number, from = CLIENT_PORT): Ports => ({ from, to });

export const tcp4 = (flags: number, port = 80, came: Came = {}): Uint8Array =>
  frame4(ipv4(TO_VIP4, 6, tcp(portsTo(port), flags)), came);
export const tcp6 = (flags: number, port = 80, came: Came = {}): Uint8Array =>
  frame6(ipv6(TO_VIP6, 6, tcp(portsTo(port), flags)), came);
export const udp4 = (came: Came = {}): Uint8Array =>
  frame4(ipv4(TO_VIP4, 17, udp(portsTo(53))), came);
export const udp6 = (came: Came = {}): Uint8Array =>
  frame6(ipv6(TO_VIP6, 17, udp(portsTo(53))), came);

export interface Setting {
  readonly tables?: Tables;
  readonly tunnels?: readonly TestTunnel[];
  readonly leased?: boolean;
  readonly accepting?: boolean;
  readonly known?: readonly Known[];
}

/** A case of several frames. */
export const sequence = (name: string, steps: readonly Step[], setting: Setting = {}): Vector => ({
  name,
  tables: setting.tables ?? owned(1),
  leased: setting.leased ?? true,
  accepting: setting.accepting ?? true,
  known: setting.known ?? [],
  tunnels: setting.tunnels ?? [],
  steps,
});

/** A case of one frame that stays as it is. */
export const stays = (
  name: string,
  frame: Uint8Array,
  reason: Reason,
  setting: Setting = {},
): Vector => sequence(name, [{ frame, reason }], setting);

/** A frame that is forwarded on the segment. */
export type Forward = Required<Omit<Step, "toHost" | "becomes">>;

/** A case of one frame that is forwarded; `header` as in Step. */
export const goes = (name: string, step: Forward, setting: Setting): Vector =>
  sequence(name, [step], setting);
