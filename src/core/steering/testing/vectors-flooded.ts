// Steering vectors of frames that came to a cluster MAC (docs/adr/0007): every member has such a frame, one serves it.
import {
  ACK,
  arp,
  ethernet,
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
import {
  CLIENT4,
  frame4,
  frame6,
  goes,
  KNOWN4,
  OWN4,
  owned,
  peerMac,
  portsTo,
  ROUTER_MAC,
  sequence,
  SHARED,
  stays,
  tcp4,
  tcp6,
  TO_VIP4,
  TO_VIP6,
  udp4,
  udp6,
  VIP4,
  VIP6,
  type Came,
  type Setting,
  type Step,
  type Vector,
} from "./vector.ts";

const all: Came = { to: SHARED.unicast };
const unleased: Setting = { leased: false };
const frozen: Setting = { accepting: false };
/** Node 1 serves it; the stack is told that the frame is for this host. */
const taken = (frame: Uint8Array, reason: Step["reason"]): Step => ({
  frame,
  reason,
  toHost: true,
});
const serves = (
  name: string,
  frame: Uint8Array,
  reason: Step["reason"],
  setting: Setting = {},
): Vector => sequence(`flooded: ${name}`, [taken(frame, reason)], setting);
const leaves = (
  name: string,
  frame: Uint8Array,
  reason: Step["reason"],
  setting: Setting = {},
): Vector => stays(`flooded: ${name}`, frame, reason, setting);

const asker = { mac: ROUTER_MAC, ip: "10.0.0.254" };
const link = { to: SHARED.unicast, from: ROUTER_MAC };
const whoHas = (target: string, operation = 1): Uint8Array =>
  ethernet(link, 0x0806, arp(operation, asker, target));
const own4 = { source: CLIENT4, destination: OWN4 };
const bare4 = { source: CLIENT4, destination: "10.0.0.101" };
const group4 = { source: "10.0.0.254", destination: "239.255.0.100" };
const chain = { tables: owned(1, [2, 3, 4]) };
const toFormer: Required<Pick<Step, "reason" | "header">> = {
  reason: "forward-former",
  header: "025000000002 06504e120001",
};

const ADDRESSED: readonly Vector[] = [
  serves("TCP to the unicast MAC, mine", tcp4(SYN, 80, all), "pass-local"),
  serves("TCP to the multicast MAC, mine", tcp4(SYN, 80, { to: SHARED.multicast }), "pass-local"),
  serves("TCP to the igmp MAC, mine", tcp4(SYN, 80, { to: SHARED.igmp }), "pass-local"),
  serves("TCP over IPv6, mine", tcp6(SYN, 80, all), "pass-local"),
  serves("UDP, mine", udp4(all), "pass-local"),
  leaves("TCP, a peer's", tcp4(SYN, 80, all), "drop-peer", { tables: owned(2) }),
  leaves("TCP over IPv6, a peer's", tcp6(ACK, 80, all), "drop-peer", { tables: owned(2) }),
  leaves("UDP to the multicast MAC, a peer's", udp6({ to: SHARED.multicast }), "drop-peer", {
    tables: owned(2),
  }),
  leaves("a peer's, of a connection that is known here", tcp4(ACK, 80, all), "drop-peer", {
    tables: owned(2, [1]),
    known: [KNOWN4],
  }),
  leaves(
    "another cluster's unicast MAC",
    tcp4(SYN, 80, { to: "02:bf:0a:00:00:65" }),
    "pass-other-mac",
  ),
  leaves("a masked MAC", tcp4(SYN, 80, { to: "02:00:01:00:00:64" }), "pass-other-mac"),
];

const NOT_FOR_US: readonly Vector[] = [
  leaves(
    "the node's own address",
    frame4(ipv4(own4, 6, tcp(portsTo(80), SYN)), all),
    "drop-not-ours",
  ),
  leaves("a ping of the node's own address", frame4(ipv4(own4, 1, icmp(8)), all), "drop-not-ours"),
  leaves(
    "an address behind the cluster",
    frame6(ipv6({ ...TO_VIP6, destination: "2001:db8:9::1" }, 17, udp(portsTo(53))), all),
    "drop-not-ours",
  ),
  leaves("unreadable", frame4(ipv4(TO_VIP4, 6, zeros(19)), all), "drop-not-ours"),
  leaves("ARP cut", whoHas(VIP4).subarray(0, 41), "drop-not-ours"),
  leaves("another EtherType", ethernet(link, 0x88cc, zeros(46)), "pass-not-ip"),
  serves(
    "an IGMP query of the cluster's group",
    frame4(ipv4(group4, 2, zeros(8)), { to: SHARED.igmp }),
    "pass-no-flow",
    frozen,
  ),
  serves(
    "multicast over IPv6",
    frame6(ipv6({ ...TO_VIP6, destination: "ff02::1" }, 17, udp(portsTo(53))), all),
    "pass-no-flow",
  ),
];

const QUESTIONS: readonly Vector[] = [
  serves("ARP for a VIP with the lease", whoHas(VIP4), "pass-announce", frozen),
  leaves("ARP for a VIP without the lease", whoHas(VIP4), "drop-announce", unleased),
  serves("an ARP answer", whoHas(OWN4, 2), "pass-no-flow", { ...frozen, ...unleased }),
  serves(
    "a solicitation for a VIP with the lease",
    frame6(ipv6(TO_VIP6, 58, solicitation(VIP6, ROUTER_MAC)), all),
    "pass-announce",
  ),
  serves(
    "a Neighbor Advertisement",
    frame6(ipv6(TO_VIP6, 58, icmp(136, 0, zeros(16))), all),
    "pass-no-flow",
    { ...frozen, ...unleased },
  ),
];

const ping4 = frame4(ipv4(TO_VIP4, 1, icmp(8)), all);
const unserved4 = frame4(ipv4(bare4, 6, tcp(portsTo(80), SYN)), all);

const STAND_IN: readonly Vector[] = [
  serves("a ping, with the lease", ping4, "pass-no-service"),
  leaves("a ping, without the lease", ping4, "drop-peer", unleased),
  serves("a port without a service, with the lease", unserved4, "pass-no-service"),
  leaves("a port without a service, without the lease", unserved4, "drop-peer", unleased),
  serves("nobody's, with the lease", tcp4(SYN, 80, all), "pass-no-owner", { tables: owned(0) }),
  leaves("nobody's, without the lease", tcp4(SYN, 80, all), "drop-peer", {
    ...unleased,
    tables: owned(0),
  }),
  serves("nobody's any more, let go here", tcp4(ACK, 80, all), "pass-no-owner", {
    ...unleased,
    tables: owned(0, [1, 2]),
    known: [KNOWN4],
  }),
  goes(
    "flooded: nobody's any more, let go here, unknown",
    { frame: tcp4(ACK, 80, all), ...toFormer },
    { ...unleased, tables: owned(0, [1, 2]) },
  ),
  leaves("nobody's any more, let go by a peer", tcp4(ACK, 80, all), "drop-peer", {
    tables: owned(0, [2, 1]),
    known: [KNOWN4],
  }),
];

const CONNECTIONS: readonly Vector[] = [
  serves("mine, a known connection", tcp4(ACK, 80, all), "pass-local", {
    ...chain,
    known: [KNOWN4],
  }),
  goes("flooded: mine, unknown", { frame: tcp4(ACK, 80, all), ...toFormer }, chain),
  goes("flooded: mine, unknown, over IPv6", { frame: tcp6(ACK, 80, all), ...toFormer }, chain),
  serves("mine, a SYN", tcp4(SYN, 80, all), "pass-local", chain),
  goes(
    "flooded: a peer's source MAC does not count",
    { frame: tcp4(ACK, 80, { ...all, from: peerMac(3) }), ...toFormer },
    chain,
  ),
  leaves("the former owner has no MAC", tcp4(ACK, 80, all), "drop-no-neighbour", {
    tables: owned(1, [9]),
  }),
];

const FENCED: readonly Vector[] = [
  leaves("mine, but the cluster was not heard", tcp4(SYN, 80, all), "drop-unleased", frozen),
  leaves("mine over IPv6, but not heard", tcp6(SYN, 80, all), "drop-unleased", frozen),
  leaves("an unknown connection, but not heard", tcp4(ACK, 80, all), "drop-unleased", {
    ...frozen,
    ...chain,
  }),
  leaves("no service, but not heard", ping4, "drop-unleased", frozen),
  leaves("a peer's, and not heard", tcp4(SYN, 80, all), "drop-peer", {
    ...frozen,
    tables: owned(2),
  }),
  stays("own MAC: mine, although not heard", tcp4(SYN), "pass-local", frozen),
];

const part4 = (more: boolean, offset: number, came = all): Uint8Array =>
  frame4(
    ipv4(TO_VIP4, 17, offset === 0 ? udp(portsTo(53), zeros(16)) : zeros(24), {
      moreFragments: more,
      offset,
      identification: 7,
    }),
    came,
  );
const part6 = (more: boolean, offset: number): Uint8Array => {
  const field = { identification: 0xdeadbeef, more, offset };
  const body = offset === 0 ? udp(portsTo(53), zeros(16)) : zeros(24);
  return frame6(ipv6(TO_VIP6, 44, join(fragmentHeader(17, field), body)), all);
};
const left = (frame: Uint8Array, reason: Step["reason"]): Step => ({ frame, reason });
const fromPeer = { to: "02:50:00:00:00:01", from: peerMac(2) };

const FRAGMENTS: readonly Vector[] = [
  sequence("flooded fragments: mine", [
    taken(part4(true, 0), "pass-local"),
    taken(part4(false, 3), "pass-local"),
    taken(part6(true, 0), "pass-local"),
    taken(part6(false, 3), "pass-local"),
  ]),
  sequence(
    "flooded fragments: a peer's",
    [
      left(part4(true, 0), "drop-peer"),
      left(part4(false, 3), "drop-peer"),
      left(part6(true, 0), "drop-peer"),
      left(part6(false, 3), "drop-peer"),
    ],
    { tables: owned(2) },
  ),
  sequence(
    "flooded fragments: before the first, every member keeps them",
    [
      taken(part4(false, 3), "pass-early-fragment"),
      left(part4(true, 0), "drop-peer"),
      left(part4(false, 3), "drop-peer"),
    ],
    { tables: owned(2), leased: false },
  ),
  sequence(
    "flooded fragments: before the first, not heard",
    [left(part6(false, 3), "drop-unleased")],
    frozen,
  ),
  sequence(
    "flooded fragments: its own copy dropped, the owner's taken",
    [
      left(part4(true, 0), "drop-peer"),
      left(part4(true, 0, fromPeer), "pass-local"),
      left(part4(false, 3), "drop-peer"),
      left(part4(false, 3, fromPeer), "pass-local"),
    ],
    { tables: owned(2, [1]) },
  ),
  sequence("flooded fragments: behind the cluster", [
    left(frame4(ipv4(own4, 17, zeros(24), { offset: 3 }), all), "drop-not-ours"),
  ]),
];

export const FLOODED: readonly Vector[] = [
  ...ADDRESSED,
  ...NOT_FOR_US,
  ...QUESTIONS,
  ...STAND_IN,
  ...CONNECTIONS,
  ...FENCED,
  ...FRAGMENTS,
];
