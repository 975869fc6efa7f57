// Steering vectors of protocols other than TCP and UDP (table 3), of traffic through the cluster, of the published hash, and
// of packets that wait. The slots of the keyed hash were computed by a Python program from the definition in the walk, those
// of the published one by hand; node = slot + 1.
import type { NodeId } from "#base/ids.ts";
import type { Tables } from "../tables.ts";
import {
  ACK,
  ah,
  esp,
  fragmentHeader,
  gre,
  icmp,
  ipv4,
  ipv6,
  join,
  l2tp,
  pptp,
  SYN,
  tcp,
  udp,
  zeros,
} from "./frames.ts";
import {
  CLIENT4,
  CLIENT6,
  frame4,
  frame6,
  goes,
  held,
  KNOWN4,
  owned,
  peerMac,
  portsTo,
  routing,
  sequence,
  SHARED,
  stays,
  tcp4,
  tcp6,
  udp4,
  udp6,
  type Came,
  type Setting,
  type Step,
  type Vector,
} from "./vector.ts";

const all: Came = { to: SHARED.unicast };
const whole = { source: CLIENT4, destination: "10.0.0.102" };
const sticky = { source: CLIENT4, destination: "10.0.0.103" };

/** What node 1 does with a frame to its own MAC: nodes 1 … 4 own slots 0 … 3. */
const step = (frame: Uint8Array, node: number): Step =>
  node === 1
    ? { frame, reason: "pass-local" }
    : { frame, reason: "forward-owner", header: `02500000000${node} 06504e010001` };
const owns = (name: string, node: number, frame: Uint8Array, setting: Setting = {}): Vector =>
  sequence(name, [step(frame, node)], setting);

const protocol = (
  name: string,
  node: number,
  number: number,
  payload: Uint8Array,
  addresses = whole,
): Vector => owns(`table 3: ${name}`, node, frame4(ipv4(addresses, number, payload)));

const to1701 = { from: 40_000, to: 1701 };

const DISCRIMINATORS: readonly Vector[] = [
  protocol("a ping", 3, 1, icmp(8)),
  protocol("a TCP port of its own", 4, 6, tcp(portsTo(99), SYN)),
  protocol("ESP, SPI 1001", 1, 50, esp(0x1001)),
  protocol("ESP, SPI 1002", 2, 50, esp(0x1002)),
  protocol("ESP, SPI 1003", 4, 50, esp(0x1003)),
  protocol("ESP cut: as if without SPI", 3, 50, esp(0x1003).subarray(0, 3)),
  protocol("AH, SPI 1001", 1, 51, ah(0x1001)),
  protocol("AH, SPI c0ffee01", 3, 51, ah(0xc0ffee01)),
  protocol("GRE, key 5", 4, 47, gre(5)),
  protocol("GRE, key 7", 1, 47, gre(7)),
  protocol("GRE, key 7 behind a checksum", 1, 47, gre(7, true)),
  protocol("GRE without key", 3, 47, gre(undefined)),
  protocol("GRE cut", 3, 47, gre(7).subarray(0, 7)),
  protocol("PPTP, call 1", 1, 47, pptp(1)),
  protocol("PPTP, call 5", 4, 47, pptp(5)),
  protocol("L2TP control, tunnel 5, session 9", 4, 17, udp(to1701, l2tp(5, 9, true))),
  protocol("L2TP data, tunnel 5, session 9", 4, 17, udp(to1701, l2tp(5, 9, false))),
  protocol("L2TP data, tunnel 1, session 2", 2, 17, udp(to1701, l2tp(1, 2, false))),
  protocol("L2TP control, no tunnel yet", 3, 17, udp(to1701, l2tp(0, 0, true))),
  protocol("port 1701 without L2TP: by the port", 4, 17, udp(to1701)),
  protocol(
    "another version of L2TP: by the port",
    4,
    17,
    udp(to1701, Uint8Array.of(0, 3, 0, 1, 0, 1, 0, 0)),
  ),
  protocol("sticky: ESP", 3, 50, esp(0x1001), sticky),
  protocol("sticky: L2TP", 3, 17, udp(to1701, l2tp(1, 2, false)), sticky),
  protocol("sticky: a ping", 3, 1, icmp(8), sticky),
];

const about = (server: string, number: number, sent: Uint8Array): Uint8Array =>
  frame4(
    ipv4(
      { source: "198.51.100.1", destination: server },
      1,
      icmp(3, 4, ipv4({ source: server, destination: CLIENT4 }, number, sent)),
    ),
  );

const ERRORS: readonly Vector[] = [
  owns("table 3: an error about GRE, key 7", 1, about("10.0.0.102", 47, gre(7))),
  owns(
    "table 3: an error about ESP, of which only the address is ours",
    3,
    about("10.0.0.102", 50, esp(0x1001)),
  ),
  owns("table 3: an error about PPTP", 3, about("10.0.0.102", 47, pptp(1))),
  owns(
    "table 3: an error about L2TP",
    3,
    about("10.0.0.102", 17, udp({ from: 1701, to: 40_000 }, l2tp(1, 2, false))),
  ),
  owns("table 3: an error about an echo, sticky", 3, about("10.0.0.103", 1, icmp(0))),
];

const taken = (frame: Uint8Array): Step => ({ frame, reason: "pass-local", toHost: true });
const through = (
  name: string,
  policy: "routed" | "routed-symmetric",
  frame: Uint8Array,
  node: number,
): Vector =>
  sequence(`routed: ${name}`, [node === 1 ? taken(frame) : { frame, reason: "drop-peer" }], {
    tables: routing(policy),
  });
const far = "203.0.113.5";
const out4 = (
  source: string,
  destination: string,
  number = 17,
  payload = udp(portsTo(53)),
): Uint8Array => frame4(ipv4({ source, destination }, number, payload), all);
const far6 = "2001:db8:9::5";
const out6 = (source: string, destination: string): Uint8Array =>
  frame6(ipv6({ source, destination }, 17, udp(portsTo(53))), all);
const late4 = frame4(
  ipv4({ source: CLIENT4, destination: far }, 17, zeros(24), { offset: 3 }),
  all,
);
const late6 = frame6(
  ipv6(
    { source: CLIENT6, destination: far6 },
    44,
    join(fragmentHeader(17, { identification: 5, offset: 3, more: false }), zeros(24)),
  ),
  all,
);
const hop = { to: "02:50:00:00:00:01", from: peerMac(1) };
const errorBack = frame4(
  ipv4(
    { source: "198.51.100.1", destination: CLIENT4 },
    1,
    icmp(11, 0, ipv4({ source: CLIENT4, destination: "203.0.113.6" }, 17, udp(portsTo(53)))),
  ),
  all,
);

const ROUTED: readonly Vector[] = [
  through("192.0.2.7 to 203.0.113.5", "routed", out4(CLIENT4, far), 1),
  through("192.0.2.8 to 203.0.113.5", "routed", out4("192.0.2.8", far), 3),
  through("another protocol, the same", "routed", out4(CLIENT4, far, 50, esp(1)), 1),
  through("another port, the same", "routed", out4(CLIENT4, far, 6, tcp(portsTo(99), ACK)), 1),
  through("a later fragment, the same", "routed", late4, 1),
  through("symmetric, there", "routed-symmetric", out4(CLIENT4, "203.0.113.6"), 1),
  through("symmetric, and back", "routed-symmetric", out4("203.0.113.6", CLIENT4), 1),
  through("symmetric, an error about it", "routed-symmetric", errorBack, 1),
  through("symmetric, another pair there", "routed-symmetric", out4(CLIENT4, far), 4),
  through("symmetric, another pair back", "routed-symmetric", out4(far, CLIENT4), 4),
  through("IPv6", "routed", out6(CLIENT6, far6), 3),
  through("IPv6, a later fragment", "routed", late6, 3),
  through("symmetric, IPv6 there", "routed-symmetric", out6(CLIENT6, far6), 4),
  through("symmetric, IPv6 back", "routed-symmetric", out6(far6, CLIENT6), 4),
  sequence("routed: a VIP is a VIP all the same", [taken(tcp4(SYN, 80, all))], {
    tables: routing("routed"),
  }),
  stays(
    "routed: to the own MAC it is the stack's",
    frame4(ipv4({ source: CLIENT4, destination: far }, 17, udp(portsTo(53)))),
    "pass-no-service",
    {
      tables: routing("routed", { owners: [2, 2] }),
    },
  ),
  stays(
    "routed: from a peer",
    frame4(ipv4({ source: CLIENT4, destination: far }, 17, udp(portsTo(53))), hop),
    "pass-no-service",
    {
      tables: routing("routed", { owners: [2, 2] }),
    },
  ),
  sequence(
    "routed: a former owner is not asked, there are no sockets",
    [taken(out4(CLIENT4, far, 6, tcp(portsTo(99), ACK)))],
    { tables: routing("routed", { owners: [1, 1], former: [2] }) },
  ),
  stays("routed: nobody's, with the lease, and it waits", out4(CLIENT4, far), "hold-unassigned", {
    tables: routing("routed", { owners: [0, 0], holds: true }),
  }),
  stays("routed: not heard", out4(CLIENT4, far), "drop-unleased", {
    tables: routing("routed"),
    accepting: false,
  }),
];

// 192.0.2.7 = c0 00 02 07, loaded as 070200c0. Port 40 000 = 9c 40, loaded as 409c; 40 003 = 9c 43, as 439c.
//   070200c0 ^ 409c = 0702405c. In pieces of two bits, from the lowest: 0 3 1 1 | 0 0 0 1 | 2 0 0 0 | 3 1 0 0; their sum by
//   exclusive or is 0 ^ 3 ^ 1 ^ 1 ^ 1 ^ 2 ^ 3 ^ 1 = 2: slot 2, node 3.
//   070200c0 ^ 439c = 0702435c. Two more bits are set, 3 in another piece: 2 ^ 3 = 1, node 2.
// Sticky, 070200c0: 0 0 0 3 | 0 0 0 0 | 2 0 0 0 | 3 1 0 0; 3 ^ 2 ^ 3 ^ 1 = 3, node 4.
// ESP to 10.0.0.102 = 0a 00 00 66, loaded as 6600000a; SPI 00 00 10 01, loaded as 01100000:
//   070200c0 ^ 6600000a ^ 01100000 = 601200ca: 2 2 0 3 | 0 0 0 0 | 2 0 1 0 | 0 0 2 1; 2 ^ 2 ^ 3 ^ 2 ^ 1 ^ 2 ^ 1 = 3, node 4.
// Routed to 203.0.113.5 = cb 00 71 05, loaded as 057100cb: 070200c0 ^ 057100cb = 0273000b:
//   3 2 0 0 | 0 0 0 0 | 3 0 3 1 | 2 0 0 0; 3 ^ 2 ^ 3 ^ 3 ^ 1 ^ 2 = 2, node 3.
const xor: Setting = { tables: { ...owned(1), hash: "xor" } };
const from4 = (port: number, to: number): Uint8Array =>
  frame4(ipv4({ source: CLIENT4, destination: "10.0.0.100" }, 6, tcp(portsTo(to, port), SYN)));

const XOR: readonly Vector[] = [
  owns("xor: 192.0.2.7:40000", 3, from4(40_000, 8080), xor),
  owns("xor: 192.0.2.7:40003", 2, from4(40_003, 8080), xor),
  owns("xor: sticky", 4, from4(40_000, 9090), xor),
  owns("xor: ESP", 4, frame4(ipv4(whole, 50, esp(0x1001))), xor),
  sequence(
    "xor: routed, equal in both directions",
    [
      { frame: out4(CLIENT4, far), reason: "drop-peer" },
      { frame: out4(far, CLIENT4), reason: "drop-peer" },
    ],
    { tables: { ...routing("routed", { owners: [1, 1, 2, 1] }), hash: "xor" } },
  ),
];

const peer = (hop: number): Came => ({ from: peerMac(hop) });
const ledBy = (master: number, tables: Tables): Tables => ({
  ...tables,
  version: { ...tables.version, master: master as NodeId },
});

const long4 = (length: number): Uint8Array =>
  frame4(
    ipv4({ source: CLIENT4, destination: "10.0.0.100" }, 17, udp(portsTo(53), zeros(length - 42))),
  );

const HELD: readonly Vector[] = [
  stays("hold: a SYN for a slot without owner", tcp4(SYN), "hold-unassigned", { tables: held() }),
  stays("hold: the same, flooded, with the lease", tcp4(SYN, 80, all), "hold-unassigned", {
    tables: held(),
  }),
  stays("hold: the same, flooded, without the lease", tcp6(SYN, 80, all), "drop-peer", {
    tables: held(),
    leased: false,
  }),
  stays("hold: flooded, with the lease, but not heard", tcp4(SYN, 80, all), "drop-unleased", {
    tables: held(),
    accepting: false,
  }),
  stays("hold: UDP", udp4(), "hold-unassigned", { tables: held([2]) }),
  stays("hold: a segment that nobody is left to ask about", tcp4(ACK), "hold-unassigned", {
    tables: held(),
  }),
  stays("hold: a known connection stays", tcp4(ACK), "pass-no-owner", {
    tables: held(),
    known: [KNOWN4],
  }),
  sequence(
    "hold: a former owner is asked first",
    [{ frame: tcp4(ACK, 80, all), reason: "forward-former", header: "025000000002 06504e120001" }],
    { tables: held([1, 2]), leased: false },
  ),
  stays("hold: flooded, let go here", tcp4(SYN, 80, all), "hold-unassigned", {
    tables: held([1, 2]),
    leased: false,
  }),
  stays("hold: flooded, let go here, UDP over IPv6", udp6(all), "hold-unassigned", {
    tables: held([1]),
    leased: false,
  }),
  stays("hold: flooded, let go here, but not heard", tcp4(SYN, 80, all), "drop-unleased", {
    tables: held([1]),
    accepting: false,
  }),
  stays("hold: flooded, let go by a peer, with the lease", tcp4(SYN, 80, all), "drop-peer", {
    tables: held([2, 1]),
  }),
  stays("hold: own MAC, let go by a peer", tcp4(SYN), "hold-unassigned", {
    tables: held([2, 1]),
    leased: false,
  }),
  stays(
    "hold: what a peer sent does not wait",
    tcp4(SYN, 80, { from: peerMac(1) }),
    "pass-no-owner",
    {
      tables: held(),
    },
  ),
  stays(
    "hold: the master of the tables is asked last",
    tcp4(ACK, 80, { from: "06:50:4e:03:00:02" }),
    "hold-unassigned",
    { tables: held([2]) },
  ),
  stays("hold: asked last, and known", tcp4(ACK, 80, peer(2)), "pass-no-owner", {
    tables: ledBy(3, held([1])),
    known: [KNOWN4],
  }),
  goes(
    "hold: asked last, and the master may know the owner",
    {
      frame: tcp4(ACK, 80, peer(2)),
      reason: "forward-former",
      header: "025000000003 06504e330001",
    },
    { tables: ledBy(3, held([1])) },
  ),
  goes(
    "hold: the same over IPv6, a hop later",
    {
      frame: tcp6(ACK, 80, peer(3)),
      reason: "forward-former",
      header: "025000000003 06504e340001",
    },
    { tables: ledBy(3, held([7, 1])), leased: false },
  ),
  stays("hold: hop 7 can ask nobody", tcp4(ACK, 80, peer(7)), "hold-unassigned", {
    tables: ledBy(3, held([7, 1])),
  }),
  stays("hold: nobody published these tables", tcp4(ACK, 80, peer(2)), "hold-unassigned", {
    tables: ledBy(0, held([1])),
  }),
  stays("hold: the longest frame", long4(2048), "hold-unassigned", { tables: held() }),
  stays("hold: too long a frame", long4(2049), "drop-hold-full", { tables: held() }),
];

export const PROTOCOLS: readonly Vector[] = [
  ...DISCRIMINATORS,
  ...ERRORS,
  ...ROUTED,
  ...XOR,
  ...HELD,
];
