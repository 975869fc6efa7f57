// The packets and tables of the datapath benchmark. Every frame is made by hand from the RFCs' layouts, through the
// builders that the tests use.
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import { withExceptions } from "#core/steering/exceptions.ts";
import { flowKey, type FlowKey } from "#wire/flow-key.ts";
import {
  NO_EXCEPTIONS,
  type GroupTable,
  type Policy,
  type ServiceKey,
  type Tables,
} from "#core/steering/tables.ts";
import {
  ACK,
  ethernet,
  icmp,
  ipv4,
  ipv6,
  tcp,
  udp,
  type Ports,
} from "#core/steering/testing/frames.ts";
import { FIRST_SERVICE_PORT, SERVICES_PER_VIP, type PacketKind } from "./packet-cost.ts";

export const SELF = { id: nodeId(1), mac: mac("02:50:00:00:00:01") } as const;
const CLIENT4 = "10.64.0.0";
const CLIENT6 = "fd64::";
const VIP4 = "10.200.0.0";
const VIP6 = "fd20::";
/** Table 2 is asked about this port, because no service of table 1 has it. */
const OTHER_PORT = 21;
/** As the generator counts them. */
const FIRST_CLIENT_PORT = 1024;
export const PINNED = 10_000;
const STICKY_PORT = 7000;
const LINK = { to: SELF.mac, from: "02:aa:00:00:00:fe" };
const SHORTEST = 64;
const XDP_DROP = 1;
const XDP_PASS = 2;
const XDP_TX = 3;

/** Padded as on a wire, and to whole words, as the generator writes it. */
export function padded(frame: Uint8Array): Uint8Array {
  const bytes = new Uint8Array(Math.max(SHORTEST, Math.ceil(frame.byteLength / 8) * 8));
  bytes.set(frame);
  return bytes;
}

const to4 = (vip: string): { source: string; destination: string } => ({
  source: CLIENT4,
  destination: vip,
});
const to6 = { source: CLIENT6, destination: VIP6 };
const ports = (to: number): Ports => ({ from: 1024, to });

const offsets4 = { sourceOffset: 26, sourcePortOffset: 34, vipOffset: 30, vipPortOffset: 36 };
const offsets6 = { sourceOffset: 34, sourcePortOffset: 54, vipOffset: 50, vipPortOffset: 56 };

const kind4 = (name: string, packet: Uint8Array): PacketKind => ({
  name,
  frame: padded(ethernet(LINK, 0x0800, packet)),
  returned: XDP_TX,
  ...offsets4,
});
const kind6 = (name: string, packet: Uint8Array): PacketKind => ({
  name,
  frame: padded(ethernet(LINK, 0x86dd, packet)),
  returned: XDP_TX,
  ...offsets6,
});

/** "Fragmentation needed", as a router sends it to the VIP: the quoted flow is the one that is told apart. */
function icmpError(): PacketKind {
  const quoted = ipv4(
    { source: VIP4, destination: CLIENT4 },
    6,
    tcp({ from: FIRST_SERVICE_PORT, to: 1024 }, ACK).subarray(0, 8),
  );
  const packet = ipv4({ source: "10.9.9.9", destination: VIP4 }, 1, icmp(3, 4, quoted));
  const frame = padded(ethernet(LINK, 0x0800, packet));
  // quoted IPv4 header at 42, its destination at 58; quoted ports at 62
  const quotedFlow = { sourceOffset: 58, sourcePortOffset: 64, vipOffset: 54, vipPortOffset: 62 };
  return { name: "ICMP error about a connection", frame, returned: XDP_TX, ...quotedFlow };
}

/** The unicast cluster MAC that follows from VIP4. */
const CLUSTER_MAC = mac("02:bf:0a:c8:00:00");
const flooded = (kind: PacketKind, returned: number): PacketKind => ({
  ...kind,
  name: `${kind.name}, flooded`,
  frame: Uint8Array.from([...macBytes(CLUSTER_MAC), ...kind.frame.subarray(6)]),
  returned,
});

export const TABLE_1 = kind4(
  "TCP, table 1",
  ipv4(to4(VIP4), 6, tcp(ports(FIRST_SERVICE_PORT), ACK)),
);

export const TABLE_1_IPV6 = kind6(
  "TCP over IPv6, table 1",
  ipv6(to6, 6, tcp(ports(FIRST_SERVICE_PORT), ACK)),
);

const QUIC_PORT = 7443;
export const quicKind = (datagram: Uint8Array): PacketKind =>
  kind4("QUIC", ipv4(to4(VIP4), 17, udp(ports(QUIC_PORT), datagram)));

/** Whose flows can be pinned. */
export const CONNECTIONS: readonly PacketKind[] = [TABLE_1, TABLE_1_IPV6];

export const KINDS: readonly PacketKind[] = [
  TABLE_1,
  TABLE_1_IPV6,
  kind4("UDP, table 1", ipv4(to4(VIP4), 17, udp(ports(FIRST_SERVICE_PORT)))),
  kind4("TCP, table 2", ipv4(to4(VIP4), 6, tcp(ports(OTHER_PORT), ACK))),
  kind4("TCP, sticky", ipv4(to4(VIP4), 6, tcp(ports(STICKY_PORT), ACK))),
  kind4(
    "TCP, IPv4 options",
    ipv4(to4(VIP4), 6, tcp(ports(FIRST_SERVICE_PORT), ACK), {
      options: new Uint8Array(4).fill(1),
    }),
  ),
  icmpError(),
  {
    ...kind4("TCP, not to a VIP", ipv4(to4("10.9.0.0"), 6, tcp(ports(FIRST_SERVICE_PORT), ACK))),
    returned: XDP_PASS,
  },
];

/** Another member's packets, as every member has them with the methods unicast, multicast and igmp. */
export const PEERS: readonly PacketKind[] = [
  flooded(TABLE_1, XDP_DROP),
  flooded(
    kind6("TCP over IPv6, table 1", ipv6(to6, 6, tcp(ports(FIRST_SERVICE_PORT), ACK))),
    XDP_DROP,
  ),
  flooded(kind4("UDP, table 1", ipv4(to4(VIP4), 17, udp(ports(FIRST_SERVICE_PORT)))), XDP_DROP),
];

const fragmentBytes = udp(ports(FIRST_SERVICE_PORT), new Uint8Array(16));
const IDENTIFICATION = 77;
/** Run once before LATER_FRAGMENT is measured; all packets of the latter are of this one datagram. */
export const FIRST_FRAGMENT = ethernet(
  LINK,
  0x0800,
  ipv4(to4(VIP4), 17, fragmentBytes, { identification: IDENTIFICATION, moreFragments: true }),
);
export const LATER_FRAGMENT: PacketKind = {
  ...kind4(
    "later fragment of a datagram",
    ipv4(to4(VIP4), 17, fragmentBytes, { identification: IDENTIFICATION, offset: 3 }),
  ),
  // nothing that the fragment's key is made of may change: the generator writes into the payload
  sourceOffset: 46,
  sourcePortOffset: 44,
};

export interface TableSize {
  readonly services: number;
  readonly slots: number;
  readonly nodes: number;
}

function group(
  name: string,
  policy: Policy,
  services: readonly ServiceKey[],
  { slots, nodes }: TableSize,
): GroupTable {
  const owners = new Uint16Array(slots).map((_, slot) => 2 + (slot % nodes));
  return {
    name,
    policy,
    holds: false,
    services,
    owners,
    former: new Uint16Array(slots * 3),
    home: owners,
    udpIdleMs: 0,
    exceptions: NO_EXCEPTIONS,
  };
}

/** The first 10 000 flows of the generator to the first service, by both families, pinned to the last node; or as many of another client. */
export function pinned(base: Tables, isOther: boolean): Tables {
  const node = base.nodes.at(-1)?.id ?? SELF.id;
  const changes = new Map<FlowKey, NodeId>();
  const flow = (source: string, sourcePort: number, vip: string): FlowKey =>
    flowKey({
      protocol: 6,
      source: ipBytes(ip(source)),
      sourcePort,
      destination: ipBytes(ip(vip)),
      destinationPort: FIRST_SERVICE_PORT,
    });
  for (let index = 0; index < PINNED; index++) {
    const port = FIRST_CLIENT_PORT + index;
    changes.set(flow(isOther ? "10.65.0.0" : CLIENT4, port, VIP4), node);
    changes.set(flow(isOther ? "fd65::" : CLIENT6, port, VIP6), node);
  }
  return withExceptions(undefined, base, changes).tables;
}

/** Services of table 1 as the generator spreads packets over them, and one each for table 2 and stickiness. */
export function tables(size: TableSize, counter: number): Tables {
  const weighted: ServiceKey[] = [{ protocol: "tcp", vip: ip(VIP6), port: FIRST_SERVICE_PORT }];
  weighted.push({ protocol: "udp", vip: ip(VIP4), port: FIRST_SERVICE_PORT });
  for (let index = 0; index < size.services; index++) {
    const vip = ip(`10.200.0.${Math.floor(index / SERVICES_PER_VIP)}`);
    const port = FIRST_SERVICE_PORT + (index % SERVICES_PER_VIP);
    weighted.push({ protocol: "tcp", vip, port });
  }
  const sticky: ServiceKey = { protocol: "tcp", vip: ip(VIP4), port: STICKY_PORT };
  const any: ServiceKey = { protocol: "tcp", vip: ip(VIP4), port: "any" };
  const quic: ServiceKey = { protocol: "udp", vip: ip(VIP4), port: QUIC_PORT };
  const ids = Array.from({ length: size.nodes }, (_, index) => nodeId(2 + index));
  const hex = (value: number): string => value.toString(16).padStart(2, "0");
  return {
    version: { epoch: 1, counter, master: SELF.id },
    hashKey: [0x6a09e667, 0xbb67ae85],
    hash: "keyed",
    delivery: { method: "forward", primary: ip(VIP4) },
    nodes: Array.from({ length: size.nodes }, (_, index) => ({
      id: nodeId(2 + index),
      mac: mac(`02:50:00:01:${hex(index >> 8)}:${hex(index & 0xff)}`),
    })),
    vips: [ip(VIP4), ip(VIP6)],
    groups: [
      group("weighted", "weighted", weighted, size),
      group("sticky", "sticky", [sticky], size),
      group("any", "wildcard-sticky", [any], size),
      { ...group("quic", "quic", [quic], { ...size, slots: 2 }), named: ids },
    ],
  };
}
