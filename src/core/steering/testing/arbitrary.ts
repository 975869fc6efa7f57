// Random tables and random frames from a seed, for comparing the model with the packet program on many frames.
// Most frames hit something: addresses, ports and datagrams come from small pools, so that services, fragments
// and chains of owners meet; then some are mutated, cut or padded.
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import type { Prng } from "#base/prng.ts";
import { TUNNEL_KINDS } from "#wire/tunnel.ts";
import {
  FORMER_OWNERS,
  NO_EXCEPTIONS,
  POLICIES,
  type GroupTable,
  type ServiceKey,
  type Tables,
  type VipHolders,
} from "../tables.ts";
import {
  ACK,
  ah,
  arp,
  esp,
  gre,
  l2tp,
  pptp,
  ethernet,
  extension,
  fragmentHeader,
  icmp,
  ipv4,
  ipv6,
  join,
  solicitation,
  SYN,
  tcp,
  udp,
  zeros,
} from "./frames.ts";
import { keyOf, pinning, type PinnedFlow } from "./pinned.ts";
import { connectionId, longHeader, shortHeader, VERSION_1, VERSION_2 } from "./quic.ts";
import { ROUTER_MAC, SELF, SHARED, type TestTunnel } from "./vector.ts";

/** Tables for node SELF, whose TCP table is empty. */
export interface Scenario {
  readonly tables: Tables;
  readonly leased: boolean;
  readonly accepting: boolean;
  readonly tunnels: readonly TestTunnel[];
}

const VIPS4 = ["10.0.0.100", "10.0.0.101"];
const VIPS6 = ["2001:db8::100", "2001:db8::101"];
const OWN4 = "10.0.0.1";
const OWN6 = "2001:db8::1";
const PORTS = [21, 53, 80, 443];
const CLIENT_PORTS = [40_000, 40_001];
/** Owners are 0 … 6; node 6 never has a MAC, node 1 is SELF. */
const OWNERS = [0, 1, 1, 1, 2, 3, 4, 5, 6];

function randomGroup(prng: Prng, name: string, services: readonly ServiceKey[]): GroupTable {
  const slots = 2 ** (1 + prng.below(6));
  const owners = Uint16Array.from({ length: slots }, () => prng.pick(OWNERS));
  const hasHistory = prng.chance(0.7);
  const former = Uint16Array.from({ length: slots * FORMER_OWNERS }, () =>
    hasHistory ? prng.pick(OWNERS) : 0,
  );
  const policy = prng.pick(POLICIES);
  const holds = prng.chance(0.5);
  return {
    ...{ name, policy, holds, services, owners, former },
    home: owners,
    udpIdleMs: prng.chance(0.4) ? 3_600_000 : 0,
    exceptions: NO_EXCEPTIONS,
    ...(policy === "quic"
      ? { named: [1, 2, 3, 4, 5].map(nodeId).filter(() => prng.chance(0.8)) }
      : {}),
  };
}

/** Connections that frames come of, pinned to nodes that may be there or not. */
function randomPins(prng: Prng): PinnedFlow[] {
  const flows = new Map<string, PinnedFlow>();
  for (let count = prng.below(400); count > 0; count--) {
    const client = prng.below(8);
    const [source, vip] = prng.chance(0.5)
      ? [`192.0.2.${client}`, prng.pick(VIPS4)]
      : [`2001:db8:1::${client}`, prng.pick(VIPS6)];
    const to = [vip, prng.pick(PORTS)] as const;
    const flow = { from: [source, prng.pick(CLIENT_PORTS)], to } as const;
    const pinned = { ...flow, node: 1 + prng.below(6), protocol: prng.chance(0.3) ? 17 : 6 };
    flows.set(keyOf(pinned), pinned);
  }
  return [...flows.values()];
}

export function randomScenario(prng: Prng): Scenario {
  const keys = [...VIPS4, ...VIPS6].flatMap((vip) =>
    (["tcp", "udp"] as const)
      .flatMap((protocol) =>
        [...PORTS, "any" as const].map((port): ServiceKey => ({ protocol, vip: ip(vip), port })),
      )
      .concat({ protocol: "any", vip: ip(vip), port: "any" }),
  );
  const shuffled = prng.shuffle(keys);
  const count = 1 + prng.below(4);
  const share = 4 + prng.below(8);
  const groups = Array.from({ length: count }, (_, index) =>
    randomGroup(prng, `group-${index}`, shuffled.slice(index * share, (index + 1) * share)),
  );
  const ids = [1, 2, 3, 4, 5].filter((id) => id === 1 || prng.chance(0.9));
  const tables: Tables = {
    version: { epoch: 1, counter: 1, master: prng.pick(OWNERS) as NodeId },
    hashKey: [prng.uint32(), prng.uint32()],
    hash: prng.chance(0.7) ? "keyed" : "xor",
    delivery: { method: "forward", primary: prng.chance(0.9) ? ip("10.0.0.100") : undefined },
    nodes: ids.map((id) => ({ id: nodeId(id), mac: mac(`02:50:00:00:00:0${id}`) })),
    vips: [...VIPS4, ...VIPS6].map(ip),
    groups,
  };
  const pinned = prng.chance(0.6) ? pinning(tables, randomPins(prng)) : tables;
  const placed = prng.chance(0.5) ? { ...pinned, vipHolders: randomHolders(prng, tables) } : pinned;
  const tunnels = prng.chance(0.5) ? randomTunnels(prng) : [];
  return { tables: placed, leased: prng.chance(0.5), accepting: prng.chance(0.8), tunnels };
}

/** Of node 4, or of 4 and 5; some packets are longer than what fits, and now and then nobody knows the way. */
const randomTunnels = (prng: Prng): TestTunnel[] =>
  (prng.chance(0.5) ? [4] : [4, 5]).map((node) => ({
    node,
    kind: prng.pick(TUNNEL_KINDS),
    source: ipBytes(ip(OWN4)),
    destination: ipBytes(ip(`198.51.100.${node}`)),
    nextMac: prng.chance(0.1) ? undefined : macBytes(mac(ROUTER_MAC)),
    ownMac: macBytes(mac(SELF.mac)),
    mtu: prng.chance(0.5) ? 1500 : 90 + prng.below(60),
  }));

/** What a node beyond the segment sends, or somebody else. */
function encapsulated(prng: Prng): { etherType: number; payload: Uint8Array } {
  const isIpv4 = prng.chance(0.6);
  const inner = isIpv4 ? packet4(prng) : packet6(prng);
  const node = prng.pick([4, 4, 5, 5, 9]);
  const destination = prng.chance(0.95) ? OWN4 : prng.pick(VIPS4);
  const ends = { source: `198.51.100.${node}`, destination };
  const way = prng.chance(0.3) ? 1 + prng.below(4) : prng.below(256);
  const type = prng.chance(0.05) ? prng.below(65_536) : isIpv4 ? 0x0800 : 0x86dd;
  if (prng.chance(0.5)) {
    const identification = prng.chance(0.9) ? 0x5000 | way : prng.below(65_536);
    const protocol = type === 0x86dd ? 41 : 4;
    return { etherType: 0x0800, payload: ipv4(ends, protocol, inner, { identification }) };
  }
  const option = prng.chance(0.95) ? [0xff, 0xf0, 0x81, 1] : [...octets(prng, 4)];
  const sender = prng.chance(0.95) ? node : prng.below(10);
  const header = Uint8Array.of(
    2,
    0x40,
    type >> 8,
    type & 255,
    0,
    0,
    0,
    0,
    ...option,
    way,
    0,
    0,
    sender,
  );
  const message = udp({ from: 0xc000, to: prng.chance(0.97) ? 6081 : 53 }, join(header, inner));
  return { etherType: 0x0800, payload: ipv4(ends, 17, message) };
}

/** Nobody, node SELF or another one has each VIP. */
const randomHolders = (prng: Prng, { vips }: Tables): VipHolders => {
  const holders = vips.map(() => prng.pick([0, 1, 1, 2, 5]) as NodeId);
  return { holders, homes: holders };
};

const octets = (prng: Prng, count: number): Uint8Array =>
  Uint8Array.from({ length: count }, () => prng.below(256));

/** Where a packet comes from and goes to: a few clients, mostly to VIPs. */
function endpoints(prng: Prng, family: 4 | 6): { source: string; destination: string } {
  const client = prng.below(8);
  const source = family === 4 ? `192.0.2.${client}` : `2001:db8:1::${client}`;
  const [vips, own] = family === 4 ? [VIPS4, OWN4] : [VIPS6, OWN6];
  if (prng.chance(0.02)) return { source, destination: family === 4 ? "239.255.0.100" : "ff02::1" };
  return { source, destination: prng.chance(0.92) ? prng.pick(vips) : own };
}

const port = (prng: Prng): number => (prng.chance(0.8) ? prng.pick(PORTS) : prng.below(65_536));

const clientPort = (prng: Prng): number =>
  prng.chance(0.5) ? prng.pick(CLIENT_PORTS) : prng.below(65_536);

const flags = (prng: Prng): number => {
  if (prng.chance(0.5)) return ACK;
  return prng.chance(0.5) ? SYN : prng.below(64);
};

/** Of a tunnel: the protocols that have a discriminator, and one that has none. */
function tunnelled(prng: Prng): { protocol: number; payload: Uint8Array } {
  const key = prng.below(4);
  switch (prng.below(6)) {
    case 0:
      return { protocol: 50, payload: esp(key) };
    case 1:
      return { protocol: 51, payload: ah(key) };
    case 2:
      return { protocol: 47, payload: gre(prng.chance(0.7) ? key : undefined, prng.chance(0.3)) };
    case 3:
      return { protocol: 47, payload: pptp(key) };
    case 4: {
      const message = l2tp(key, prng.below(4), prng.chance(0.5));
      return { protocol: 17, payload: udp({ from: 1701, to: 1701 }, message) };
    }
    default:
      return { protocol: prng.below(256), payload: octets(prng, 24) };
  }
}

/** Now and then longer than what can wait. */
const bodyLength = (prng: Prng): number => (prng.chance(0.005) ? 2100 : prng.below(24));

/** Of a connection that some node serves, or none does; perhaps cut. */
function quicPacket(prng: Prng): Uint8Array {
  const id = connectionId(prng.pick(OWNERS), prng.below(256)).subarray(0, prng.below(9));
  const version = prng.pick([VERSION_1, VERSION_1, VERSION_2, octets(prng, 4)]);
  const packet = prng.chance(0.5) ? shortHeader(id) : longHeader(prng.below(4), id, version);
  return prng.chance(0.3) ? packet.subarray(0, prng.below(packet.byteLength + 1)) : packet;
}

function datagram(prng: Prng): { protocol: number; payload: Uint8Array } {
  if (prng.chance(0.15)) return tunnelled(prng);
  const ports = { from: clientPort(prng), to: port(prng) };
  if (prng.chance(0.2)) return { protocol: 17, payload: udp(ports, quicPacket(prng)) };
  const body = octets(prng, bodyLength(prng));
  return prng.chance(0.7)
    ? { protocol: 6, payload: tcp(ports, flags(prng), body) }
    : { protocol: 17, payload: udp(ports, body) };
}

/** What a server sent to a client, as an error quotes it: turned round, perhaps with options, perhaps cut. */
function quotation(prng: Prng, family: 4 | 6, sender: string, receiver: string): Uint8Array {
  const ports = { from: port(prng), to: clientPort(prng) };
  const quoted = prng.chance(0.7)
    ? { protocol: 6, payload: tcp(ports, ACK) }
    : { protocol: 17, payload: udp(ports) };
  const { protocol, payload } = prng.chance(0.2) ? tunnelled(prng) : quoted;
  const addresses = { source: sender, destination: receiver };
  const optioned = prng.chance(0.2);
  const packet =
    family === 4
      ? ipv4(addresses, protocol, payload, {
          options: zeros(optioned ? 4 * prng.below(11) : 0),
          offset: prng.chance(0.05) ? 5 : 0,
          totalLength: prng.below(65_536),
        })
      : optioned
        ? ipv6(addresses, 60, join(extension(protocol, 1 + prng.below(3)), payload))
        : ipv6(addresses, protocol, payload, prng.below(65_536));
  return prng.chance(0.3) ? packet.subarray(0, prng.below(packet.byteLength + 1)) : packet;
}

function message(
  prng: Prng,
  family: 4 | 6,
  { source, destination }: { source: string; destination: string },
): { protocol: number; payload: Uint8Array } {
  const quoted = quotation(prng, family, destination, source);
  const type = prng.pick(family === 4 ? [3, 11, 12, 5, 8, 0] : [1, 2, 3, 4, 128, 135]);
  return { protocol: family === 4 ? 1 : 58, payload: icmp(type, prng.below(4), quoted) };
}

function packet4(prng: Prng): Uint8Array {
  const ends = endpoints(prng, 4);
  const { protocol, payload } = prng.chance(0.85) ? datagram(prng) : message(prng, 4, ends);
  const fragmented = prng.chance(0.2);
  return ipv4(ends, prng.chance(0.02) ? prng.below(256) : protocol, payload, {
    identification: prng.below(4),
    moreFragments: fragmented && prng.chance(0.6),
    offset: fragmented && prng.chance(0.5) ? 1 + prng.below(3) : 0,
    options: zeros(prng.chance(0.1) ? 4 * prng.below(11) : 0),
  });
}

const EXTENSIONS = [0, 43, 60];

/** Puts up to three extension headers, and perhaps a Fragment header, before a payload; answers the first's number. */
function extended(
  prng: Prng,
  protocol: number,
  payload: Uint8Array,
): { protocol: number; payload: Uint8Array } {
  let [next, bytes] = [protocol, payload];
  if (prng.chance(0.2)) {
    const offset = prng.chance(0.5) ? 1 + prng.below(3) : 0;
    const field = { identification: prng.below(4), offset, more: prng.chance(0.6) };
    [next, bytes] = [44, join(fragmentHeader(next, field), bytes)];
  }
  const count = prng.chance(0.25) ? 1 + prng.below(3) : 0;
  for (let i = 0; i < count; i++) {
    bytes = join(extension(next, 1 + prng.below(4)), bytes);
    next = prng.pick(EXTENSIONS);
  }
  return { protocol: next, payload: bytes };
}

function packet6(prng: Prng): Uint8Array {
  const ends = endpoints(prng, 6);
  const inner = prng.chance(0.85) ? datagram(prng) : message(prng, 6, ends);
  const protocol = prng.chance(0.02) ? prng.below(256) : inner.protocol;
  const outer = extended(prng, protocol, inner.payload);
  return ipv6(ends, outer.protocol, outer.payload);
}

function question(prng: Prng): { etherType: number; payload: Uint8Array } {
  if (prng.chance(0.5)) {
    const target = prng.pick([...VIPS4, OWN4]);
    const asker = { mac: ROUTER_MAC, ip: "10.0.0.254" };
    return { etherType: 0x0806, payload: arp(prng.chance(0.8) ? 1 : 2, asker, target) };
  }
  const target = prng.pick([...VIPS6, OWN6]);
  const ends = { source: "fe80::fe", destination: "ff02::1:ff00:100" };
  return { etherType: 0x86dd, payload: ipv6(ends, 58, solicitation(target, ROUTER_MAC)) };
}

/** Changes a few bytes, cuts the end off or pads it; never shorter than an Ethernet header. */
function damaged(prng: Prng, frame: Uint8Array): Uint8Array {
  const copy = frame.slice();
  const reach = Math.min(copy.byteLength, 100);
  if (prng.chance(0.6)) {
    const count = 1 + prng.below(3);
    for (let i = 0; i < count; i++) copy[12 + prng.below(reach - 12)] = prng.below(256);
  }
  if (prng.chance(0.3)) return copy.subarray(0, 14 + prng.below(copy.byteLength - 13));
  return prng.chance(0.3) ? join(copy, octets(prng, prng.below(32))) : copy;
}

function sourceMac(prng: Prng): string {
  if (prng.chance(0.6)) return ROUTER_MAC;
  const way = prng.chance(0.3) ? 1 + prng.below(4) : prng.below(256);
  return `06:50:4e:${way.toString(16).padStart(2, "0")}:00:0${1 + prng.below(8)}`;
}

const FLOODED = Object.values(SHARED);

function destinationMac(prng: Prng): string {
  if (prng.chance(0.55)) return SELF.mac;
  return prng.chance(0.9) ? prng.pick(FLOODED) : "ff:ff:ff:ff:ff:ff";
}

/** A frame at node SELF, at least 14 bytes long. */
export function randomFrame(prng: Prng): Uint8Array {
  const link = { to: destinationMac(prng), from: sourceMac(prng) };
  const kind = prng.below(100);
  const inner =
    kind < 5
      ? question(prng)
      : kind < 13
        ? encapsulated(prng)
        : kind < 60
          ? { etherType: 0x0800, payload: packet4(prng) }
          : { etherType: 0x86dd, payload: packet6(prng) };
  const frame = ethernet(link, prng.chance(0.01) ? 0x8100 : inner.etherType, inner.payload);
  return prng.chance(0.2) ? damaged(prng, frame) : frame;
}
