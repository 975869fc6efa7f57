// Steering vectors of the stage exception (B4, docs/adr/0016): connections that are pinned to a node which is not their slot's owner.
import { ACK, FIN, fragmentHeader, icmp, ipv4, ipv6, join, SYN, tcp, zeros } from "./frames.ts";
import { pinning, type PinnedFlow } from "./pinned.ts";
import {
  CLIENT4,
  CLIENT6,
  CLIENT_PORT,
  frame4,
  frame6,
  goes,
  KNOWN4,
  KNOWN6,
  owned,
  peerMac,
  sentTo,
  portsTo,
  sequence,
  SHARED,
  stays,
  tablesWith,
  tcp4,
  tcp6,
  TO_VIP4,
  TO_VIP6,
  udp4,
  udp6,
  VIP4,
  VIP6,
  type Forward,
  type Vector,
} from "./vector.ts";

const pin4 = (node: number, from = CLIENT_PORT): PinnedFlow => ({
  from: [CLIENT4, from],
  to: [VIP4, 80],
  node,
});
const pin6 = (node: number): PinnedFlow => ({
  from: [CLIENT6, CLIENT_PORT],
  to: [VIP6, 80],
  node,
});
/** The flows of both families are at this node; all slots belong to `owner`. */
const pinned = (node: number, owner: number, former: readonly number[] = []) =>
  pinning(owned(owner, former), [pin4(node), pin6(node)]);
/** `asked`: whether the node has looked for the connection at itself before. */
const toPinned = (frame: Uint8Array, to: number, asked: "asked" | "not asked"): Forward => ({
  frame,
  reason: "forward-exception",
  header: sentTo(to, 2, asked === "asked" ? [1] : []),
});
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
const all = { to: SHARED.unicast };
const first4 = ipv4(TO_VIP4, 6, tcp(portsTo(80), ACK), { identification: 9, moreFragments: true });
const later4 = ipv4(TO_VIP4, 6, zeros(40), { identification: 9, offset: 3 });
const quotation = icmp(
  3,
  4,
  ipv4({ source: VIP4, destination: CLIENT4 }, 6, tcp({ from: 80, to: CLIENT_PORT }, ACK)),
);
const quoting = frame4(ipv4({ source: "198.51.100.1", destination: VIP4 }, 1, quotation));
const optioned = frame4(ipv4(TO_VIP4, 6, tcp(portsTo(80), ACK), { options: zeros(4) }));
const fragmented6 = frame6(
  ipv6(
    TO_VIP6,
    44,
    join(fragmentHeader(6, { identification: 7, offset: 0, more: true }), tcp(portsTo(80), ACK)),
  ),
);

export const EXCEPTIONS: readonly Vector[] = [
  goes(
    "exception: a segment goes to the node it is pinned to",
    toPinned(tcp4(ACK), 3, "not asked"),
    {
      tables: pinned(3, 2),
    },
  ),
  goes("exception: over IPv6", toPinned(tcp6(ACK), 3, "not asked"), { tables: pinned(3, 2) }),
  goes("exception: also from the slot's owner", toPinned(tcp4(ACK), 3, "asked"), {
    tables: pinned(3, 1),
  }),
  goes("exception: also from the owner over IPv6", toPinned(tcp6(FIN | ACK), 3, "asked"), {
    tables: pinned(3, 1),
  }),
  goes("exception: IP options make no difference", toPinned(optioned, 3, "not asked"), {
    tables: pinned(3, 2),
  }),
  goes(
    "exception: an ICMP error goes where its flow is pinned to",
    toPinned(quoting, 3, "not asked"),
    {
      tables: pinned(3, 2),
    },
  ),
  goes("exception: a SYN goes to the owner", toOwner(tcp4(SYN), 2), { tables: pinned(3, 2) }),
  goes("exception: a SYN over IPv6 goes to the owner", toOwner(tcp6(SYN), 2), {
    tables: pinned(3, 2),
  }),
  goes("exception: another flow of the slot goes to the owner", toOwner(tcp4(ACK), 2), {
    tables: pinning(owned(2), [pin4(3, CLIENT_PORT + 1)]),
  }),
  goes(
    "exception: another service of the same client goes to its owner",
    toOwner(tcp4(ACK, 8081), 4),
    { tables: pinned(3, 2) },
  ),
  stays("exception: its node has no MAC", tcp4(ACK), "drop-no-neighbour", { tables: pinned(9, 2) }),
  stays("exception: here, and the connection is known", tcp4(ACK), "pass-exception", {
    tables: pinned(1, 2),
    known: [KNOWN4],
  }),
  stays("exception: here, over IPv6", tcp6(ACK), "pass-exception", {
    tables: pinned(1, 2),
    known: [KNOWN6],
  }),
  goes("exception: here, and the connection has ended", toOwner(tcp4(ACK), 2), {
    tables: pinned(1, 2),
  }),
  stays("exception: here, where the slot is, and ended", tcp4(ACK), "pass-local", {
    tables: pinned(1, 1),
  }),
  stays(
    "exception: what a peer sent on was decided there",
    tcp4(ACK, 80, { hop: 1 }),
    "pass-local",
    { tables: pinned(3, 1) },
  ),
  stays("exception: from a peer to its node, known", tcp4(ACK, 80, { hop: 1 }), "pass-local", {
    tables: pinned(1, 2),
    known: [KNOWN4],
  }),
  goes("exception: from a peer to its node, ended", toFormer(tcp4(ACK, 80, { hop: 1 }), 2, 2), {
    tables: pinned(1, 2),
  }),
  goes("exception: comes before the chain", toPinned(tcp4(ACK), 3, "asked"), {
    tables: pinned(3, 1, [4, 5]),
  }),
  goes("exception: also for a slot without an owner", toPinned(tcp4(ACK), 3, "not asked"), {
    tables: pinning(tablesWith({ owners: [0, 0], holds: true }), [pin4(3)]),
  }),
  sequence(
    "exception: fragments follow the first",
    [toPinned(frame4(first4), 3, "not asked"), toPinned(frame4(later4), 3, "not asked")],
    { tables: pinned(3, 2) },
  ),
  goes("exception: a first fragment over IPv6", toPinned(fragmented6, 3, "not asked"), {
    tables: pinned(3, 2),
  }),
  goes("exception: flooded, the owner sends it on", toPinned(tcp4(ACK, 80, all), 3, "asked"), {
    tables: pinned(3, 1),
  }),
  goes(
    "exception: flooded, the owner sends it on over IPv6",
    toPinned(tcp6(ACK, 80, all), 3, "asked"),
    {
      tables: pinned(3, 1),
    },
  ),
  stays(
    "exception: flooded, pinned here, and the owner's to send",
    tcp4(ACK, 80, all),
    "drop-peer",
    {
      tables: pinned(1, 2),
      known: [KNOWN4],
    },
  ),
  stays(
    "exception: flooded, but the accept lease has run out",
    tcp4(ACK, 80, all),
    "drop-unleased",
    {
      tables: pinned(3, 1),
      accepting: false,
    },
  ),
  sequence(
    "exception: flooded, and the owner has a connection of its own",
    [{ frame: tcp4(ACK, 80, all), reason: "pass-local", toHost: true }],
    { tables: pinned(3, 1), known: [KNOWN4] },
  ),
  sequence(
    "exception: flooded, pinned to the owner itself",
    [{ frame: tcp4(ACK, 80, all), reason: "pass-exception", toHost: true }],
    { tables: pinned(1, 1), known: [KNOWN4] },
  ),
  goes(
    "exception: flooded, without an owner, sent on by the lease holder",
    toPinned(tcp4(ACK, 80, all), 3, "asked"),
    {
      tables: pinning(tablesWith({ owners: [0, 0], holds: true }), [pin4(3)]),
    },
  ),
  stays("exception: flooded, a SYN of somebody else's slot", tcp4(SYN, 80, all), "drop-peer", {
    tables: pinned(1, 2),
  }),
  sequence(
    "exception: flooded, a SYN of our own slot",
    [{ frame: tcp4(SYN, 80, all), reason: "pass-local", toHost: true }],
    { tables: pinned(3, 1) },
  ),
  stays("exception: the owner has a connection of its own", tcp4(ACK), "pass-local", {
    tables: pinned(3, 1),
    known: [KNOWN4],
  }),
  goes(
    "exception: at its node, ended: the owner is asked",
    toFormer(tcp4(ACK, 80, { from: peerMac(2, 5, []) }), 2, 3),
    {
      tables: pinned(1, 2),
    },
  ),
  stays("exception: at its node, known", tcp4(ACK, 80, { hop: 2 }), "pass-local", {
    tables: pinned(1, 2),
    known: [KNOWN4],
  }),
  stays(
    "exception: at its node, which has no agent any more, ended",
    tcp4(ACK, 80, { hop: 2 }),
    "drop-unleased",
    {
      tables: owned(1),
      accepting: false,
    },
  ),
];

/** The group pins UDP sessions. */
const sessions = (owner: number, former: readonly number[] = []) =>
  tablesWith({ owners: [owner, owner], former, udpIdleMs: 60_000 });
const udpPin = (node: number): PinnedFlow => ({
  from: [CLIENT4, CLIENT_PORT],
  to: [VIP4, 53],
  node,
  protocol: 17,
});
const from2 = (hop: number, ...before: number[]) => ({
  hop,
  from: peerMac(hop, 2, [2, ...before]),
});

/** B12: sessions that stay at their node, where a group asks for it. */
export const SESSIONS: readonly Vector[] = [
  stays("session: of a slot that has not moved", udp4(), "pass-local", { tables: sessions(1) }),
  goes("session: nobody is asked where the group does not pin", toOwner(udp4(), 2), {
    tables: owned(2, [1]),
  }),
  sequence(
    "session: one that the owner does not know is looked for; when it comes back, it is the owner's",
    [
      toFormer(udp4(), 2, 2),
      { frame: udp4(from2(3, 1)), reason: "pass-local" },
      { frame: udp4(), reason: "pass-local" },
      toFormer(udp6(), 2, 2),
    ],
    { tables: sessions(1, [2]) },
  ),
  goes(
    "session: a former owner that does not know it sends it back",
    toFormer(udp4(from2(2)), 2, 3, [2, 1]),
    {
      tables: sessions(2, [1]),
    },
  ),
  goes("session: a former owner asks the one before it", toFormer(udp4(from2(2)), 3, 3, [2, 1]), {
    tables: sessions(2, [1, 3]),
  }),
  goes(
    "session: the last that can be asked leaves it to the owner",
    toFormer(udp4({ from: peerMac(4, 4, [2, 3, 4]) }), 2, 5, [2, 3, 4, 1]),
    { tables: sessions(2, [3, 4, 1]) },
  ),
  goes("session: pinned to another node", toPinned(udp4(), 3, "not asked"), {
    tables: pinning(sessions(2), [udpPin(3)]),
  }),
  goes("session: pinned to this node, which has forgotten it", toOwner(udp4(), 2), {
    tables: pinning(sessions(2), [udpPin(1)]),
  }),
  stays("session: an exception of a group that pins none any more", udp4(), "pass-local", {
    tables: pinning(tablesWith({ owners: [1, 1] }), [udpPin(3)]),
  }),
  goes("session: flooded, pinned to another node", toPinned(udp4(all), 3, "asked"), {
    tables: pinning(sessions(1), [udpPin(3)]),
  }),
  sequence(
    "session: flooded, noted by its owner",
    [
      toFormer(udp4(all), 2, 2),
      { frame: udp4(from2(3, 1)), reason: "pass-local" },
      { frame: udp4(all), reason: "pass-local", toHost: true },
    ],
    { tables: sessions(1, [2]) },
  ),
  sequence(
    "session: flooded, not noted by a node that may not take it",
    [{ frame: udp4(all), reason: "drop-unleased" }, toFormer(udp4(from2(2)), 2, 3, [2, 1])],
    { tables: sessions(1), accepting: false },
  ),
];
