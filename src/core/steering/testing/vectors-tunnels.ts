// Steering vectors of the stages decapsulate and encapsulate (B11, docs/adr/0022): nodes 4 and 5 are beyond the segment of node 1, one by
// Geneve, the other by IP in IP. Outer headers are literals, from RFC 791, 2003, 4213 and 8926.
import { unhex } from "#wire/testing/hex.ts";
import { ACK, ethernet, ipv4, join, SYN, tcp, zeros } from "./frames.ts";
import {
  CLIENT4,
  frame4,
  goes,
  KNOWN4,
  OWN4,
  owned,
  peerMac,
  portsTo,
  ROUTER_MAC,
  SELF,
  sentTo,
  sequence,
  stays,
  tcp4,
  tcp6,
  type Came,
  type TestTunnel,
  TO_VIP4,
  type Vector,
} from "./vector.ts";

const own = unhex("0a000001");
const macs = { nextMac: unhex("02aa000000fe"), ownMac: unhex("025000000001") };
const ends = { ...macs, source: own, mtu: 1500 };
const BY_GENEVE: TestTunnel = {
  ...ends,
  node: 4,
  kind: "geneve",
  destination: unhex("c6336404"),
};
const BY_IPIP: TestTunnel = { ...ends, node: 5, kind: "ipip", destination: unhex("c6336405") };
const tunnels = [BY_GENEVE, BY_IPIP];

const packetOf = (frame: Uint8Array): Uint8Array => frame.subarray(14);
const sent = (outer: string, frame: Uint8Array): Uint8Array =>
  ethernet({ to: ROUTER_MAC, from: SELF.mac }, 0x0800, join(unhex(outer), packetOf(frame)));
const came = (outer: string, packet: Uint8Array): Uint8Array =>
  ethernet({ to: SELF.mac, from: ROUTER_MAC }, 0x0800, join(unhex(outer), packet));

const SYN4 = tcp4(SYN);
const ACK4 = tcp4(ACK);
const SYN6 = tcp6(SYN);
const big = (bytes: number): Uint8Array =>
  frame4(ipv4(TO_VIP4, 6, tcp(portsTo(80), ACK, zeros(bytes - 40))));

/** version 4, length · DF · TTL 64, protocol 4 · from 10.0.0.1 to 198.51.100.5; the identification says: hop 1. */
const IPIP = "4500003c 50014000 4004b683 0a000001 c6336405";
const IPIP_6 = "45000050 50014000 4029b64a 0a000001 c6336405";
const GENEVE_UDP = "c000 17c1 0040 0000";
const GENEVE_WAY = "fff0 81 01 01 00 0001";
const GENEVE = `45000054 00004000 40110661 0a000001 c6336404 ${GENEVE_UDP} 02 40 0800 00000000 ${GENEVE_WAY}`;
const GENEVE_6 = `45000068 00004000 4011064d 0a000001 c6336404 c000 17c1 0054 0000 02 40 86dd 00000000 ${GENEVE_WAY}`;

const FROM_5 = "4500003c 50014000 4004b683 c6336405 0a000001";
const FROM_5_IPV6 = "45000050 50014000 4029b64a c6336405 0a000001";
const fromGeneve = (way: string, sender = "0004"): string =>
  `45000054 00004000 40110661 c6336404 0a000001 c123 17c1 0040 0000 02 40 0800 00000000 fff0 81 01 ${way} 00 ${sender}`;

const out = (name: string, frame: Uint8Array, to: number, becomes: Uint8Array): Vector =>
  sequence(name, [{ frame, reason: "forward-owner", becomes }], { tables: owned(to), tunnels });

/** The last forwarder. */
const by = (hop: number, node: number): Came => ({ from: peerMac(hop, node) });

const comes = (name: string, frame: Uint8Array, becomes: Uint8Array): Vector =>
  sequence(name, [{ frame, reason: "pass-local", becomes }], { tunnels });

const refused = (name: string, outer: string, packet: Uint8Array): Vector =>
  stays(name, came(outer, packet), "drop-tunnel", { tunnels });

export const TUNNELS: readonly Vector[] = [
  out("encapsulate: IPv4 in IP", SYN4, 5, sent(IPIP, SYN4)),
  out("encapsulate: IPv6 in IP", SYN6, 5, sent(IPIP_6, SYN6)),
  out("encapsulate: IPv4 in Geneve", SYN4, 4, sent(GENEVE, SYN4)),
  out("encapsulate: IPv6 in Geneve", SYN6, 4, sent(GENEVE_6, SYN6)),
  goes(
    "encapsulate: not to a node on the segment",
    { frame: SYN4, reason: "forward-owner", header: sentTo(2, 1) },
    { tables: owned(2), tunnels },
  ),
  sequence(
    "encapsulate: to a former owner, with who has been asked",
    [
      {
        frame: ACK4,
        reason: "forward-former",
        becomes: sent(IPIP.replace("5001", "5012").replace("b683", "b672"), ACK4),
      },
    ],
    { tables: owned(1, [5]), tunnels },
  ),
  sequence(
    "encapsulate: the longest that fits",
    [
      {
        frame: big(1480),
        reason: "forward-owner",
        becomes: sent(IPIP.replace("003c", "05dc").replace("b683", "b0e3"), big(1480)),
      },
    ],
    { tables: owned(5), tunnels },
  ),
  stays("encapsulate: one byte more", big(1481), "drop-too-big", { tables: owned(5), tunnels }),
  stays("encapsulate: Geneve leaves less", big(1457), "drop-too-big", {
    tables: owned(4),
    tunnels,
  }),
  stays("encapsulate: nobody knows the way", SYN4, "drop-no-neighbour", {
    tables: owned(5),
    tunnels: [{ ...BY_IPIP, nextMac: undefined }],
  }),
  comes("decapsulate: IPv4 in IP", came(FROM_5, packetOf(SYN4)), tcp4(SYN, 80, by(1, 5))),
  comes("decapsulate: IPv6 in IP", came(FROM_5_IPV6, packetOf(SYN6)), tcp6(SYN, 80, by(1, 5))),
  comes("decapsulate: Geneve", came(fromGeneve("01"), packetOf(SYN4)), tcp4(SYN, 80, by(1, 4))),
  sequence(
    "decapsulate: a segment of a connection that was here",
    [
      {
        frame: came(fromGeneve("82"), packetOf(ACK4)),
        reason: "pass-local",
        becomes: tcp4(ACK, 80, by(2, 4)),
      },
    ],
    { tables: owned(4, [1]), known: [KNOWN4], tunnels },
  ),
  sequence(
    "decapsulate: and out again, to the node that is asked next",
    [
      {
        frame: came(FROM_5, packetOf(ACK4)),
        reason: "forward-former",
        becomes: (() => {
          const frame = ACK4.slice();
          frame.set(unhex(sentTo(2, 2, [1]).replaceAll(" ", "")));
          return frame;
        })(),
      },
    ],
    { tables: owned(1, [2]), tunnels },
  ),
  refused(
    "decapsulate: nothing says how far it has come",
    FROM_5.replace("5001", "1234"),
    packetOf(SYN4),
  ),
  refused("decapsulate: hop 0", FROM_5.replace("5001", "5000"), packetOf(SYN4)),
  refused(
    "decapsulate: another sender than the address says",
    fromGeneve("01", "0005"),
    packetOf(SYN4),
  ),
  refused(
    "decapsulate: an option that we do not know",
    fromGeneve("01").replace("fff0", "0102"),
    packetOf(SYN4),
  ),
  refused(
    "decapsulate: for no VIP",
    FROM_5,
    ipv4({ source: CLIENT4, destination: OWN4 }, 6, tcp(portsTo(80), SYN)),
  ),
  refused("decapsulate: IPv4 says that it is IPv6", FROM_5_IPV6, packetOf(SYN4)),
  refused("decapsulate: too short", FROM_5, packetOf(SYN4).subarray(0, 12)),
  stays(
    "decapsulate: from an address that is no node's",
    came(FROM_5.replace("c6336405", "c6336409"), packetOf(SYN4)),
    "pass-no-service",
    { tunnels },
  ),
  stays(
    "decapsulate: to another address of this machine",
    came(FROM_5.replace("0a000001", "0a000002"), packetOf(SYN4)),
    "pass-no-service",
    { tunnels },
  ),
  stays(
    "decapsulate: a fragment",
    came(FROM_5.replace("50014000", "50012000"), packetOf(SYN4)),
    "pass-no-service",
    { tunnels },
  ),
  stays(
    "decapsulate: where no node is beyond the segment",
    came(FROM_5, packetOf(SYN4)),
    "pass-no-service",
  ),
];
