// Steering vectors of the stages lookup, hash, own and emit, and of fragments: where a frame goes.
import {
  ACK,
  extension,
  FIN,
  fragmentHeader,
  icmp,
  ipv4,
  ipv6,
  join,
  RST,
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
  KNOWN6,
  OWN4,
  owned,
  peerMac,
  sentTo,
  portsTo,
  sequence,
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
  type Forward,
  type Step,
  type Vector,
} from "./vector.ts";

/** Destination: node `to`; source: hop and the id of node 1. */
const toOwner = (frame: Uint8Array, to: number): Forward => ({
  frame,
  reason: "forward-owner",
  header: sentTo(to, 1),
});
const toFormer = (frame: Uint8Array, to: number, hop: number, asked = [1]): Forward => ({
  frame,
  reason: "forward-former",
  header: sentTo(to, hop, asked),
});
const own4 = { source: CLIENT4, destination: OWN4 };
const bare4 = { source: CLIENT4, destination: "10.0.0.101" };
const sentOn4 = frame4(ipv4(bare4, 6, tcp(portsTo(80), ACK)), { hop: 1 });
const sentOn6 = frame6(ipv6(TO_VIP6, 17, udp(portsTo(99))), { hop: 1 });

export const LOOKUP: readonly Vector[] = [
  goes("lookup: TCP in table 1", toOwner(tcp4(SYN), 2), { tables: owned(2) }),
  goes("lookup: TCP over IPv6 in table 1", toOwner(tcp6(SYN), 2), { tables: owned(2) }),
  goes("lookup: UDP in table 1", toOwner(udp4(), 3), { tables: owned(3) }),
  goes("lookup: UDP over IPv6 in table 1", toOwner(udp6(), 3), { tables: owned(3) }),
  goes("lookup: another TCP port in table 2", toOwner(tcp4(SYN, 21), 4), { tables: owned(2) }),
  goes("lookup: another port over IPv6 in table 2", toOwner(tcp6(ACK, 2021), 4), {
    tables: owned(2),
  }),
  stays(
    "lookup: table 2 is per protocol",
    frame4(ipv4(TO_VIP4, 17, udp(portsTo(80)))),
    "pass-no-service",
  ),
  stays(
    "lookup: a VIP without services",
    frame4(ipv4(bare4, 6, tcp(portsTo(80), SYN))),
    "pass-no-service",
  ),
  stays(
    "lookup: the node's own address",
    frame4(ipv4(own4, 6, tcp(portsTo(80), SYN))),
    "pass-no-service",
  ),
  stays("lookup: sent on by a peer, but a service of nobody", sentOn4, "pass-no-service"),
  stays("lookup: sent on by a peer, and the agent does not run", sentOn4, "drop-unleased", {
    accepting: false,
  }),
  stays("lookup: sent on over IPv6, and the agent does not run", sentOn6, "drop-unleased", {
    accepting: false,
  }),
];

const from4 = (source: string, port: number, to: number): Uint8Array =>
  frame4(ipv4({ source, destination: VIP4 }, 6, tcp(portsTo(to, port), SYN)));
const from6 = (source: string, port: number, to: number): Uint8Array =>
  frame6(ipv6({ source, destination: VIP6 }, 6, tcp(portsTo(to, port), SYN)));
const hashed = (name: string, frame: Uint8Array, to: number): Vector =>
  to === 1
    ? stays(`hash: ${name}`, frame, "pass-local")
    : goes(`hash: ${name}`, toOwner(frame, to), {});
const about = ipv4(
  { source: VIP4, destination: "192.0.2.9" },
  6,
  tcp({ from: 8080, to: 40_002 }, ACK),
);

// The slots were computed by a C program from the definition in the walk; node = slot + 1.
export const HASH: readonly Vector[] = [
  hashed("weighted, 192.0.2.7:40000", from4("192.0.2.7", 40_000, 8080), 4),
  hashed("weighted, 192.0.2.7:40002", from4("192.0.2.7", 40_002, 8080), 3),
  hashed("weighted, 192.0.2.7:40004", from4("192.0.2.7", 40_004, 8080), 1),
  hashed("weighted, 192.0.2.8:40002", from4("192.0.2.8", 40_002, 8080), 2),
  hashed("weighted, 198.51.100.1:40002", from4("198.51.100.1", 40_002, 8080), 1),
  hashed("weighted, IPv6, …::7 port 40000", from6("2001:db8:1::7", 40_000, 8080), 1),
  hashed("weighted, IPv6, …::7 port 40001", from6("2001:db8:1::7", 40_001, 8080), 3),
  hashed("weighted, IPv6, …::7 port 40003", from6("2001:db8:1::7", 40_003, 8080), 4),
  hashed("weighted, IPv6, …::8 port 40000", from6("2001:db8:1::8", 40_000, 8080), 2),
  hashed("sticky, 192.0.2.7:40000", from4("192.0.2.7", 40_000, 9090), 3),
  hashed("sticky, 192.0.2.7:40004", from4("192.0.2.7", 40_004, 9090), 3),
  hashed("sticky, 192.0.2.8", from4("192.0.2.8", 40_000, 9090), 1),
  hashed("sticky, 192.0.2.9", from4("192.0.2.9", 40_000, 9090), 4),
  hashed("sticky, 198.51.100.1", from4("198.51.100.1", 40_000, 9090), 2),
  hashed("sticky, IPv6, …::7", from6("2001:db8:1::7", 40_000, 9090), 3),
  hashed("sticky, IPv6, …::9", from6("2001:db8:1::9", 40_000, 9090), 2),
  hashed(
    "an ICMP error takes the slot of the flow that it quotes",
    frame4(ipv4({ source: "198.51.100.1", destination: VIP4 }, 1, icmp(3, 4, about))),
    2,
  ),
];

const chain = { tables: owned(1, [2, 3, 4]) };
/** From node 7, which is in no chain, or from one that is; `before` have been asked, too. */
const peer = (hop: number, by = 7, ...before: number[]): Came => ({
  hop,
  from: peerMac(hop, by, hop > 1 ? [by, ...before] : []),
});
/** Node 1's table says that node 2 owns the slot; the sender believed in node 1. */
const stale = { tables: owned(2, [1, 3, 4]) };

export const OWN: readonly Vector[] = [
  stays("own: mine, and nobody before", tcp4(ACK), "pass-local"),
  stays("own: mine, nobody before, over IPv6", tcp6(ACK), "pass-local"),
  stays("own: mine, a SYN", tcp4(SYN), "pass-local", chain),
  stays("own: mine, UDP", udp4(), "pass-local", chain),
  stays("own: mine, a known connection", tcp4(ACK), "pass-local", { ...chain, known: [KNOWN4] }),
  stays("own: mine, a known connection over IPv6", tcp6(ACK), "pass-local", {
    ...chain,
    known: [KNOWN6],
  }),
  goes("own: mine, another connection is known", toFormer(tcp6(ACK), 2, 2), {
    ...chain,
    known: [KNOWN4],
  }),
  goes("own: mine, unknown", toFormer(tcp4(ACK), 2, 2), chain),
  goes("own: mine, unknown, a RST", toFormer(tcp4(RST), 2, 2), chain),
  goes("own: mine, unknown, a FIN", toFormer(tcp4(FIN | ACK), 2, 2), chain),
  goes("own: mine, unknown, a SYN with ACK is no opening", toFormer(tcp4(SYN | ACK), 2, 2), chain),
  goes("own: another's, whatever this node knows", toOwner(tcp4(ACK), 2), {
    tables: owned(2),
    known: [KNOWN4],
  }),
  stays("own: hop 1, mine, a SYN", tcp4(SYN, 80, peer(1)), "pass-local", chain),
  stays("own: hop 1, mine, known", tcp4(ACK, 80, peer(1)), "pass-local", {
    ...chain,
    known: [KNOWN4],
  }),
  goes("own: hop 1, mine, unknown", toFormer(tcp4(ACK, 80, peer(1)), 2, 2), chain),
  goes("own: hop 2, unknown", toFormer(tcp4(ACK, 80, peer(2, 5)), 3, 3, [5, 1]), {
    tables: owned(5, [1, 3, 4]),
  }),
  stays("own: hop 2, known", tcp4(ACK, 80, peer(2)), "pass-local", {
    tables: owned(5, [1, 3, 4]),
    known: [KNOWN4],
  }),
  goes("own: hop 3, unknown", toFormer(tcp6(ACK, 80, peer(3, 3, 5)), 4, 4, [5, 3, 1]), {
    tables: owned(5, [3, 1, 4]),
  }),
  goes(
    "own: hop 4, unknown: the owner has the last word",
    toFormer(tcp4(ACK, 80, peer(4, 3, 5, 2)), 5, 5, [5, 2, 3, 1]),
    { tables: owned(5, [2, 3, 1]) },
  ),
  stays(
    "own: the owner, when all have been asked",
    tcp4(ACK, 80, peer(5, 4, 1, 2, 3)),
    "pass-local",
    chain,
  ),
  stays("own: the owner at the last hop", tcp4(ACK, 80, peer(7, 4, 1, 2, 3)), "pass-local", chain),
  stays("own: no hop is left, but one to ask", tcp4(ACK, 80, peer(7, 4, 1, 2)), "drop-peer", chain),
  stays("own: no hop is left, and known", tcp4(ACK, 80, peer(7, 4, 1, 2)), "pass-local", {
    ...chain,
    known: [KNOWN4],
  }),
  goes(
    "own: further down than the hop says, those before were not asked",
    toFormer(tcp4(ACK, 80, peer(2, 5)), 2, 3, [5, 1]),
    {
      tables: owned(5, [2, 1, 4]),
    },
  ),
  goes(
    "own: this node is the last of the chain, and the owner has not been asked",
    toFormer(tcp4(ACK, 80, peer(3, 2)), 5, 4, [2, 1]),
    { tables: owned(5, [2, 1]) },
  ),
  stays("own: the last of the chain, asked by the owner", tcp4(ACK, 80, peer(2, 5)), "pass-local", {
    tables: owned(5, [1]),
  }),
  goes(
    "own: the agent does not run: whoever asked goes on",
    toFormer(tcp4(ACK, 80, peer(2, 5)), 5, 3, [5, 1]),
    { tables: owned(5, [1, 3, 4]), accepting: false },
  ),
  goes(
    "own: the agent does not run, and the tables do not say where the one is that asked",
    toFormer(tcp4(ACK, 80, peer(2, 7)), 5, 3, [7, 1]),
    { tables: owned(5, [1, 3, 4]), accepting: false },
  ),
  goes(
    "own: the agent does not run, and this node has chosen before",
    toFormer(tcp4(ACK, 80, peer(3, 2, 1)), 3, 4, [1, 2]),
    { tables: owned(1, [2, 3]), accepting: false },
  ),
  stays(
    "own: the agent does not run, and this node has asked all",
    tcp4(ACK, 80, peer(3, 2, 1)),
    "drop-unleased",
    { tables: owned(1, [2]), accepting: false },
  ),
  stays(
    "own: no hop is left, and the agent does not run",
    tcp4(ACK, 80, peer(7, 5)),
    "drop-unleased",
    {
      tables: owned(5, [1]),
      accepting: false,
    },
  ),
  stays("own: known, and the agent does not run", tcp4(ACK, 80, peer(2, 5)), "pass-local", {
    tables: owned(5, [1]),
    accepting: false,
    known: [KNOWN4],
  }),
  stays("own: hop 1, mine, and the agent does not run", tcp4(ACK, 80, peer(1)), "pass-local", {
    accepting: false,
  }),
  goes(
    "own: sent back by one without an agent",
    toFormer(tcp4(ACK, 80, peer(3, 2, 1)), 5, 4, [2, 1]),
    { tables: owned(2, [5, 1]) },
  ),
  goes(
    "own: who was asked before the sender is not asked again",
    toFormer(tcp4(ACK, 80, peer(3, 2, 4)), 3, 4, [4, 2, 1]),
    { tables: owned(1, [4, 3]) },
  ),
  stays(
    "own: the next one, though it shares a bit with the owner",
    tcp4(ACK, 80, peer(2, 2)),
    "drop-no-neighbour",
    { tables: owned(2, [1, 7]) },
  ),
  goes(
    "own: the owner before asks the one by a newer table",
    toFormer(tcp4(ACK, 80, peer(2, 5)), 3, 3, [5, 1]),
    {
      tables: owned(1, [5, 3]),
    },
  ),
  goes("own: fewer are left than the hop says", toFormer(tcp4(ACK, 80, peer(3, 4)), 5, 4, [4, 1]), {
    tables: owned(5, [1]),
  }),
  goes(
    "own: hop 2, mine by an older table",
    toFormer(tcp4(ACK, 80, peer(2, 5)), 2, 3, [5, 1]),
    chain,
  ),
  goes(
    "own: hop 2, not in the chain of an older table",
    toFormer(tcp4(ACK, 80, peer(2, 5)), 2, 3, [5, 1]),
    {
      tables: owned(5, [2, 3, 4]),
    },
  ),
  goes(
    "own: hop 3, not in the chain of an older table",
    toFormer(tcp6(ACK, 80, peer(3, 2, 5)), 3, 4, [5, 2, 1]),
    {
      tables: owned(5, [2, 3, 4]),
    },
  ),
  goes(
    "own: hop 4, not in the chain",
    toFormer(tcp4(ACK, 80, peer(4, 3, 2, 5)), 4, 5, [5, 2, 3, 1]),
    { tables: owned(5, [2, 3, 4]) },
  ),
  stays("own: the next one is this node again", tcp4(ACK, 80, peer(1)), "pass-local", {
    tables: owned(1, [1]),
  }),
  stays("own: the chain ends", tcp6(ACK, 80, peer(2, 5)), "pass-local", { tables: owned(5, [1]) }),
  goes("own: hop 1, but another's by a newer table", toFormer(tcp4(ACK, 80, peer(1)), 2, 2), stale),
  stays(
    "own: hop 1, another's by a newer table, a SYN",
    tcp4(SYN, 80, peer(1)),
    "pass-local",
    stale,
  ),
  stays("own: hop 1, another's by a newer table, UDP", udp4(peer(1)), "pass-local", stale),
  stays("own: hop 1, another's, known", tcp4(ACK, 80, peer(1)), "pass-local", {
    ...stale,
    known: [KNOWN4],
  }),
  goes(
    "own: no hop, whoever has been asked",
    toOwner(tcp4(ACK, 80, { from: "06:50:4e:f8:00:07" }), 2),
    { tables: owned(2) },
  ),
  goes("own: hop byte 0 counts as 0", toOwner(tcp4(ACK, 80, { from: "06:50:4e:00:00:07" }), 2), {
    tables: owned(2),
  }),
  stays("own: nobody's", tcp4(SYN), "pass-no-owner", { tables: owned(0) }),
  stays("own: nobody's, from a peer", tcp4(ACK, 80, peer(1)), "pass-no-owner", {
    tables: owned(0),
  }),
  stays("own: nobody's, UDP", udp6(), "pass-no-owner", { tables: owned(0, [2]) }),
  goes("own: nobody's any more", toFormer(tcp4(ACK), 2, 2), { tables: owned(0, [2]) }),
  goes("own: nobody's any more, hop 1", toFormer(tcp4(ACK, 80, peer(1)), 2, 2), {
    tables: owned(0, [2]),
  }),
  stays("own: nobody's any more, a SYN", tcp4(SYN), "pass-no-owner", { tables: owned(0, [2]) }),
  stays("emit: the owner has no MAC", tcp4(SYN), "drop-no-neighbour", { tables: owned(9) }),
  stays("emit: the former owner has no MAC", tcp4(ACK), "drop-no-neighbour", {
    tables: owned(1, [9]),
  }),
];

const part4 = (more: boolean, offset: number, came: Came = {}, identification = 7): Uint8Array =>
  frame4(
    ipv4(TO_VIP4, 17, offset === 0 ? udp(portsTo(53), zeros(16)) : zeros(24), {
      moreFragments: more,
      offset,
      identification,
    }),
    came,
  );
const field = { identification: 0xdeadbeef };
const part6 = (more: boolean, offset: number, came: Came = {}): Uint8Array =>
  frame6(
    ipv6(
      TO_VIP6,
      44,
      join(
        fragmentHeader(17, { ...field, more, offset }),
        offset === 0 ? udp(portsTo(53), zeros(16)) : zeros(24),
      ),
    ),
    came,
  );
const optioned6 = (more: boolean, offset: number, body: Uint8Array): Uint8Array =>
  frame6(
    ipv6(TO_VIP6, 60, join(extension(44), fragmentHeader(6, { ...field, more, offset }), body)),
  );
const ping = (more: boolean, offset: number): Uint8Array =>
  frame4(
    ipv4(TO_VIP4, 1, offset === 0 ? icmp(8, 0, zeros(16)) : zeros(24), {
      moreFragments: more,
      offset,
      identification: 3,
    }),
  );
const ownPart = frame4(ipv4(own4, 17, zeros(24), { offset: 3, identification: 7 }));
const tiny = frame4(ipv4(TO_VIP4, 6, zeros(8), { moreFragments: true, identification: 7 }));
const kept = (frame: Uint8Array, reason: Step["reason"]): Step => ({ frame, reason });

export const FRAGMENTS: readonly Vector[] = [
  sequence(
    "fragments: all follow the first",
    [toOwner(part4(true, 0), 2), toOwner(part4(true, 3), 2), toOwner(part4(false, 6), 2)],
    { tables: owned(2) },
  ),
  sequence(
    "fragments: IPv6 fragments follow the first",
    [toOwner(part6(true, 0), 2), toOwner(part6(false, 3), 2)],
    { tables: owned(2) },
  ),
  sequence(
    "fragments: behind IPv6 options",
    [
      toOwner(optioned6(true, 0, tcp(portsTo(80), SYN)), 2),
      toOwner(optioned6(false, 3, zeros(8)), 2),
    ],
    { tables: owned(2) },
  ),
  sequence("fragments: mine", [
    kept(part4(true, 0), "pass-local"),
    kept(part4(false, 3), "pass-local"),
  ]),
  sequence(
    "fragments: before the first",
    [kept(part4(false, 3), "hold-early-fragment"), kept(part6(false, 3), "hold-early-fragment")],
    { tables: owned(2) },
  ),
  sequence(
    "fragments: another datagram's",
    [toOwner(part4(true, 0), 2), kept(part4(false, 3, {}, 8), "hold-early-fragment")],
    { tables: owned(2) },
  ),
  sequence("fragments: from a peer, before the first", [
    kept(part4(false, 3, peer(1)), "pass-peer-fragment"),
    kept(part6(false, 3, peer(1)), "pass-peer-fragment"),
  ]),
  sequence("fragments: from a peer, behind the first", [
    kept(part4(true, 0, peer(1)), "pass-local"),
    kept(part4(false, 3, peer(1)), "pass-local"),
  ]),
  sequence(
    "fragments: a remembered forward never lowers the hop",
    [toOwner(part4(true, 0), 2), kept(part4(false, 3, peer(1)), "pass-peer-fragment")],
    { tables: owned(2) },
  ),
  sequence(
    "fragments: of a ping",
    [kept(ping(true, 0), "pass-no-service"), kept(ping(false, 3), "pass-no-service")],
    { tables: owned(2) },
  ),
  sequence("fragments: to the node's own address", [kept(ownPart, "pass-no-flow")]),
  sequence(
    "fragments: a first one without a whole TCP header",
    [kept(tiny, "pass-malformed"), kept(part4(false, 3), "hold-early-fragment")],
    { tables: owned(2) },
  ),
  sequence(
    "fragments: of an unknown connection",
    [
      toFormer(optioned6(true, 0, tcp(portsTo(80), ACK)), 2, 2),
      toFormer(optioned6(false, 3, zeros(8)), 2, 2),
    ],
    chain,
  ),
  sequence(
    "fragments: the owner has no MAC",
    [kept(part4(true, 0), "drop-no-neighbour"), kept(part4(false, 3), "drop-no-neighbour")],
    { tables: owned(9) },
  ),
  sequence("fragments: of no service", [
    kept(frame4(ipv4(bare4, 6, tcp(portsTo(80), SYN), { moreFragments: true })), "pass-no-service"),
    kept(frame4(ipv4(bare4, 6, zeros(8), { offset: 3 })), "pass-no-service"),
  ]),
];
