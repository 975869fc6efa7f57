// Steering vectors of the stage connection-id (policy quic, A14): which node a QUIC packet names, and when its slot decides. All slots of the
// group belong to node 2, unless a case says otherwise.
import type { Tables } from "../tables.ts";
import { fragmentHeader, icmp, ipv4, ipv6, join, udp, zeros } from "./frames.ts";
import {
  connectionId,
  longHeader,
  RFC9001_INITIAL,
  RFC9001_SHORT,
  shortHeader,
  VERSION_2,
} from "./quic.ts";
import {
  CLIENT4,
  frame4,
  frame6,
  goes,
  portsTo,
  quic,
  sentTo,
  sequence,
  SHARED,
  stays,
  TO_VIP4,
  TO_VIP6,
  VIP4,
  type Came,
  type Vector,
} from "./vector.ts";

const PORT = 443;
const tables = quic(2);
const over4 = (datagram: Uint8Array, came: Came = {}): Uint8Array =>
  frame4(ipv4(TO_VIP4, 17, udp(portsTo(PORT), datagram)), came);
const over6 = (datagram: Uint8Array): Uint8Array =>
  frame6(ipv6(TO_VIP6, 17, udp(portsTo(PORT), datagram)));
const short = (node: number): Uint8Array => shortHeader(connectionId(node));

const named = (name: string, frame: Uint8Array, node: number): Vector =>
  goes(
    `quic: ${name}`,
    { frame, reason: "forward-connection-id", header: sentTo(node, 1) },
    { tables },
  );
const bySlot = (name: string, frame: Uint8Array): Vector =>
  goes(`quic: ${name}`, { frame, reason: "forward-owner", header: sentTo(2, 1) }, { tables });

const NAMED: readonly Vector[] = [
  named("a short header names node 3", over4(short(3)), 3),
  named("a short header names node 5, IPv6", over6(short(5)), 5),
  named(
    "the first byte of the connection id is the server's",
    over4(shortHeader(connectionId(4, 0xff))),
    4,
  ),
  named("a Handshake packet names node 4", over4(longHeader(2, connectionId(4))), 4),
  named("a Handshake packet of version 2", over4(longHeader(3, connectionId(4), VERSION_2)), 4),
  named("the shortest datagram that names a node", over4(short(3).subarray(0, 4)), 3),
  named("the longest connection id", over4(longHeader(2, join(connectionId(3), zeros(12)))), 3),
  named(
    "behind options",
    frame4(ipv4(TO_VIP4, 17, udp(portsTo(PORT), short(3)), { options: zeros(8) })),
    3,
  ),
];

const BY_SLOT: readonly Vector[] = [
  bySlot("RFC 9001, A.2: a client's Initial", over4(RFC9001_INITIAL)),
  bySlot("RFC 9001, A.2: a client's Initial, IPv6", over6(RFC9001_INITIAL)),
  bySlot("RFC 9001, A.5: a short header without connection id", over4(RFC9001_SHORT)),
  bySlot("an Initial whose made-up id would name node 4", over4(longHeader(0, connectionId(4)))),
  bySlot("0-RTT", over4(longHeader(1, connectionId(4)))),
  bySlot(
    "version 2: what is Handshake in version 1",
    over4(longHeader(2, connectionId(4), VERSION_2)),
  ),
  bySlot(
    "a version that nobody knows",
    over4(longHeader(2, connectionId(4), Uint8Array.of(9, 9, 9, 9))),
  ),
  bySlot("a node without a MAC", over4(short(9))),
  bySlot("no node", over4(short(0))),
  bySlot("beyond the node ids", over4(short(4096))),
  bySlot("an id of two bytes", over4(longHeader(2, connectionId(4).subarray(0, 2)))),
  bySlot("an id that is too long", over4(longHeader(2, join(connectionId(4), zeros(13))))),
  bySlot(
    "an id that ends behind the datagram",
    over4(longHeader(2, connectionId(4), undefined, 20).subarray(0, 20)),
  ),
  bySlot("a short header cut before the node's id", over4(short(3).subarray(0, 3))),
  bySlot("an empty datagram", over4(zeros(0))),
  bySlot(
    "an ICMP error: it quotes the client's connection id",
    frame4(
      ipv4(
        { source: "198.51.100.1", destination: VIP4 },
        1,
        icmp(
          3,
          4,
          ipv4(
            { source: VIP4, destination: CLIENT4 },
            17,
            udp({ from: PORT, to: 40_000 }, short(3)),
          ),
        ),
      ),
    ),
  ),
];

const fragment = (offset: number, more: boolean, bytes: Uint8Array): Uint8Array =>
  frame4(ipv4(TO_VIP4, 17, bytes, { identification: 5, moreFragments: more, offset }));
const whole = udp(portsTo(PORT), join(short(3), zeros(15)));
const shared = { to: SHARED.unicast };

const ELSEWHERE: readonly Vector[] = [
  stays("quic: it names this node, whose slot it is not", over4(short(1)), "pass-connection-id", {
    tables,
  }),
  stays(
    "quic: a peer sends on what names this node",
    over4(short(1), { hop: 1 }),
    "pass-connection-id",
    { tables },
  ),
  stays("quic: a peer sends on what names another one", over4(short(3), { hop: 1 }), "pass-local", {
    tables,
  }),
  sequence(
    "quic: flooded, it names this node",
    [{ frame: over4(short(1), shared), reason: "pass-connection-id", toHost: true }],
    { tables },
  ),
  stays(
    "quic: flooded, it names this node, without the accept lease",
    over4(short(1), shared),
    "drop-unleased",
    {
      tables,
      accepting: false,
    },
  ),
  stays(
    "quic: flooded, it names another one, though the slot is this node's",
    over4(short(3), shared),
    "drop-peer",
    {
      tables: quic(1),
    },
  ),
  stays("quic: flooded, it names nobody: another's slot", over4(short(9), shared), "drop-peer", {
    tables,
  }),
  sequence(
    "quic: fragments follow the first one",
    [
      {
        frame: fragment(0, true, whole.subarray(0, 24)),
        reason: "forward-connection-id",
        header: sentTo(3, 1),
      },
      {
        frame: fragment(3, false, whole.subarray(24)),
        reason: "forward-connection-id",
        header: sentTo(3, 1),
      },
    ],
    { tables },
  ),
  goes(
    "quic: a first fragment, IPv6",
    {
      frame: frame6(
        ipv6(
          TO_VIP6,
          44,
          join(
            fragmentHeader(17, { identification: 7, offset: 0, more: true }),
            whole.subarray(0, 24),
          ),
        ),
      ),
      reason: "forward-connection-id",
      header: sentTo(3, 1),
    },
    { tables },
  ),
];

/** Nodes 1 and 3 are there and do not serve the group: the slot's owner answers, whoever it is. */
const notServing = (owner: number): Tables => quic(owner, [2, 4]);
const NOT_SERVING: readonly Vector[] = [
  goes(
    "quic: it names a node that does not serve",
    { frame: over4(short(3)), reason: "forward-owner", header: sentTo(2, 1) },
    { tables: notServing(2) },
  ),
  goes(
    "quic: it names this node, which does not serve",
    { frame: over6(short(1)), reason: "forward-owner", header: sentTo(2, 1) },
    { tables: notServing(2) },
  ),
  stays(
    "quic: it names a node that does not serve, and the slot is this node's",
    over4(longHeader(2, connectionId(3))),
    "pass-local",
    { tables: notServing(1) },
  ),
  stays(
    "quic: a peer sends on what names this node, which does not serve",
    over4(short(1), { hop: 1 }),
    "pass-local",
    { tables: notServing(2) },
  ),
  sequence(
    "quic: flooded, it names a node that does not serve: the slot's owner takes it",
    [{ frame: over4(short(3), shared), reason: "pass-local", toHost: true }],
    { tables: notServing(1) },
  ),
  stays(
    "quic: flooded, it names this node, which does not serve",
    over4(short(1), shared),
    "drop-peer",
    { tables: notServing(2) },
  ),
];

export const QUIC: readonly Vector[] = [...NAMED, ...BY_SLOT, ...ELSEWHERE, ...NOT_SERVING];
