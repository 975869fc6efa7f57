// Steering vectors of the stages parse, announce, admit and classify: what a frame is, and whether it is ours.
import {
  ACK,
  arp,
  ethernet,
  extension,
  icmp,
  ipv4,
  ipv6,
  solicitation,
  SYN,
  tcp,
  udp,
  zeros,
} from "./frames.ts";
import { unhex } from "#wire/testing/hex.ts";
import {
  CLIENT4,
  CLIENT6,
  frame4,
  frame6,
  goes,
  OWN4,
  owned,
  portsTo,
  ROUTER_MAC,
  SELF,
  stays,
  tcp4,
  TO_VIP4,
  TO_VIP6,
  VIP4,
  VIP6,
  type Vector,
} from "./vector.ts";

const BROADCAST = "ff:ff:ff:ff:ff:ff";
const away = { tables: owned(2) };
/** Node 2's MAC, then hop 1 by node 1. */
const TO_2 = "025000000002 06504e010001";
const segment = tcp(portsTo(80), SYN);
const whole4 = ipv4(TO_VIP4, 6, segment);
const whole6 = ipv6(TO_VIP6, 6, segment);

/** A copy with one byte (counted from the beginning of the frame) replaced. */
function patched(frame: Uint8Array, at: number, value: number): Uint8Array {
  const copy = frame.slice();
  copy[at] = value;
  return copy;
}

const link = { to: SELF.mac, from: ROUTER_MAC };

// SYN 192.0.2.7:40000 → 10.0.0.100:80, written by hand: Ethernet | IPv4 | TCP
const SYN_HEX =
  "025000000001 02aa000000fe 0800" +
  "4500 0028 0000 4000 4006 0000 c0000207 0a000064" +
  "9c40 0050 00000001 00000000 5002 ffff 0000 0000";

export const PARSE: readonly Vector[] = [
  goes(
    "parse: a SYN, byte by byte",
    { frame: unhex(SYN_HEX), reason: "forward-owner", header: TO_2 },
    away,
  ),
  stays("parse: one byte of IPv4", frame4(zeros(1)), "pass-malformed"),
  stays("parse: other EtherType", ethernet(link, 0x88cc, zeros(46)), "pass-not-ip"),
  stays("parse: length instead of EtherType", ethernet(link, 46, zeros(46)), "pass-not-ip"),
  stays(
    "parse: VLAN tag in the frame",
    ethernet(link, 0x8100, unhex(`0064 0800 ${"00".repeat(44)}`)),
    "pass-not-ip",
    away,
  ),
  stays("parse: IPv4 version 5", patched(frame4(whole4), 14, 0x55), "pass-malformed", away),
  stays("parse: IPv4 IHL 4", patched(frame4(whole4), 14, 0x44), "pass-malformed", away),
  stays(
    "parse: IPv4 IHL beyond the total length",
    patched(frame4(whole4), 14, 0x4f),
    "pass-malformed",
    away,
  ),
  stays(
    "parse: IPv4 total length below the header",
    frame4(ipv4(TO_VIP4, 6, segment, { totalLength: 19 })),
    "pass-malformed",
    away,
  ),
  stays(
    "parse: IPv4 total length beyond the frame",
    frame4(ipv4(TO_VIP4, 6, segment, { totalLength: 41 })),
    "pass-malformed",
    away,
  ),
  stays("parse: IPv4 header cut", frame4(whole4.subarray(0, 19)), "pass-malformed", away),
  stays(
    "parse: IPv4 TCP header cut",
    frame4(ipv4(TO_VIP4, 6, segment.subarray(0, 19))),
    "pass-malformed",
    away,
  ),
  stays(
    "parse: padding does not complete a TCP header",
    frame4(ipv4(TO_VIP4, 6, segment, { totalLength: 39 })),
    "pass-malformed",
    away,
  ),
  stays("parse: IPv4 UDP header cut", frame4(ipv4(TO_VIP4, 17, zeros(7))), "pass-malformed", away),
  stays("parse: IPv4 ICMP header cut", frame4(ipv4(TO_VIP4, 1, zeros(7))), "pass-malformed", away),
  goes(
    "parse: padding behind a short packet",
    {
      frame: frame4(Uint8Array.from([...ipv4(TO_VIP4, 17, udp(portsTo(53))), ...zeros(18)])),
      reason: "forward-owner",
      header: TO_2,
    },
    away,
  ),
  goes(
    "parse: IPv4 with 40 bytes of options",
    {
      frame: frame4(ipv4(TO_VIP4, 6, segment, { options: new Uint8Array(40).fill(1) })),
      reason: "forward-owner",
      header: TO_2,
    },
    away,
  ),
  stays("parse: IPv6 version 4", patched(frame6(whole6), 14, 0x40), "pass-malformed", away),
  stays("parse: IPv6 header cut", frame6(whole6.subarray(0, 39)), "pass-malformed", away),
  stays(
    "parse: IPv6 payload length beyond the frame",
    frame6(ipv6(TO_VIP6, 6, segment, 21)),
    "pass-malformed",
    away,
  ),
  stays(
    "parse: IPv6 payload length 0",
    frame6(ipv6(TO_VIP6, 6, segment, 0)),
    "pass-malformed",
    away,
  ),
  stays(
    "parse: IPv6 TCP header cut",
    frame6(ipv6(TO_VIP6, 6, segment.subarray(0, 19))),
    "pass-malformed",
    away,
  ),
  stays("parse: IPv6 ICMP header cut", frame6(ipv6(TO_VIP6, 58, zeros(7))), "pass-malformed", away),
];

const extended = (first: number, ...parts: readonly Uint8Array[]): Uint8Array =>
  frame6(ipv6(TO_VIP6, first, Uint8Array.from(parts.flatMap((part) => [...part]))));
const unread = (name: string, frame: Uint8Array): Vector =>
  stays(`parse: ${name}`, frame, "pass-malformed", away);
const read = (name: string, frame: Uint8Array): Vector =>
  goes(`parse: ${name}`, { frame, reason: "forward-owner", header: TO_2 }, away);

export const EXTENSION_HEADERS: readonly Vector[] = [
  read("IPv6 without extension headers", extended(6, segment)),
  read("IPv6 with hop-by-hop options", extended(0, extension(6), segment)),
  read("IPv6 with a routing header", extended(43, extension(6), segment)),
  read("IPv6 with long destination options", extended(60, extension(6, 32), segment)),
  read("IPv6 with two extension headers", extended(0, extension(60, 2), extension(6), segment)),
  unread(
    "IPv6 with three extension headers",
    extended(0, extension(43), extension(60), extension(6), segment),
  ),
  unread("IPv6 extension header cut", extended(0, extension(6).subarray(0, 7))),
  unread(
    "IPv6 extension header longer than the packet",
    extended(0, extension(6, 4).subarray(0, 24)),
  ),
  unread("IPv6 Fragment header cut", extended(44, unhex("06000000"))),
  unread(
    "IPv6 with two Fragment headers",
    extended(44, unhex("2c00000000000001 0600000000000001"), segment),
  ),
  unread(
    "IPv6 options behind the Fragment header",
    extended(44, unhex("3c00000000000001"), extension(6), segment),
  ),
  unread("IPv6 TCP header cut behind options", extended(60, extension(6), segment.subarray(0, 19))),
  read("IPv6 atomic fragment", extended(44, unhex("0600000000000001"), segment)),
  read(
    "IPv6 atomic fragment behind two headers",
    extended(0, extension(60), extension(44), unhex("0600000000000001"), segment),
  ),
  stays("classify: IPv6 no next header", extended(59), "pass-no-service", away),
  stays("classify: IPv6 ESP", extended(50, zeros(32)), "pass-no-service", away),
  stays("classify: ICMP of IPv4 in IPv6", extended(1), "pass-no-service", away),
];

const asker = { mac: ROUTER_MAC, ip: "10.0.0.254" };
export const whoHas = (target: string, operation = 1): Uint8Array =>
  ethernet({ to: BROADCAST, from: ROUTER_MAC }, 0x0806, arp(operation, asker, target));
const group = { to: "33:33:ff:00:01:00", from: ROUTER_MAC };
const NDP = { source: "fe80::fe", destination: "ff02::1:ff00:100" };
export const ask6 = (target: string): Uint8Array =>
  ethernet(group, 0x86dd, ipv6(NDP, 58, solicitation(target, ROUTER_MAC)));
const ask6Optioned = ethernet(
  group,
  0x86dd,
  ipv6(NDP, 0, Uint8Array.from([...extension(58), ...solicitation(VIP6, ROUTER_MAC)])),
);
const ask6Cut = ethernet(
  group,
  0x86dd,
  ipv6(NDP, 58, solicitation(VIP6, ROUTER_MAC).subarray(0, 23)),
);
const unleased = { leased: false };
// broadcast | 02:aa:00:00:00:fe | 0806 | request, 10.0.0.254 asks for 10.0.0.100; padded to 60 bytes
const ARP_HEX =
  "ffffffffffff 02aa000000fe 0806 0001 0800 06 04 0001" +
  "02aa000000fe 0a0000fe 000000000000 0a000064" +
  "00".repeat(18);

export const ANNOUNCE: readonly Vector[] = [
  stays("announce: ARP for a VIP, byte by byte", unhex(ARP_HEX), "pass-announce"),
  stays("announce: ARP for a VIP with the lease", whoHas(VIP4), "pass-announce"),
  stays("announce: ARP for a VIP without the lease", whoHas(VIP4), "drop-announce", unleased),
  stays(
    "announce: ARP for a VIP without a service",
    whoHas("10.0.0.101"),
    "drop-announce",
    unleased,
  ),
  stays(
    "announce: unicast ARP for a VIP without the lease",
    ethernet(link, 0x0806, arp(1, asker, VIP4)),
    "drop-announce",
    unleased,
  ),
  stays("announce: ARP for another address", whoHas(OWN4), "pass-other-mac", unleased),
  stays("announce: an ARP answer about a VIP", whoHas(VIP4, 2), "pass-other-mac", unleased),
  stays("announce: an unknown ARP operation", whoHas(VIP4, 9), "pass-other-mac", unleased),
  stays(
    "announce: unicast ARP answer",
    ethernet(link, 0x0806, arp(2, asker, OWN4)),
    "pass-no-flow",
    unleased,
  ),
  stays("announce: ARP cut", whoHas(VIP4).subarray(0, 41), "pass-malformed", unleased),
  stays(
    "announce: ARP of another hardware type",
    patched(whoHas(VIP4), 15, 6),
    "pass-malformed",
    unleased,
  ),
  stays(
    "announce: ARP of another protocol",
    patched(whoHas(VIP4), 17, 1),
    "pass-malformed",
    unleased,
  ),
  stays("announce: solicitation for a VIP with the lease", ask6(VIP6), "pass-announce"),
  stays(
    "announce: solicitation for a VIP without the lease",
    ask6(VIP6),
    "drop-announce",
    unleased,
  ),
  stays("announce: solicitation behind options", ask6Optioned, "drop-announce", unleased),
  stays(
    "announce: solicitation for another address",
    ask6("2001:db8::1"),
    "pass-other-mac",
    unleased,
  ),
  stays("announce: solicitation cut", ask6Cut, "pass-other-mac", unleased),
];

export const ADMIT: readonly Vector[] = [
  stays(
    "admit: flooded unicast",
    tcp4(SYN, 80, { to: "02:50:00:00:00:02" }),
    "pass-other-mac",
    away,
  ),
  stays("admit: broadcast", tcp4(SYN, 80, { to: BROADCAST }), "pass-other-mac", away),
  stays("admit: one bit off", tcp4(SYN, 80, { to: "02:50:00:00:00:00" }), "pass-other-mac", away),
  stays("classify: echo request", frame4(ipv4(TO_VIP4, 1, icmp(8))), "pass-no-service", away),
  stays(
    "classify: ICMPv6 echo request",
    frame6(ipv6(TO_VIP6, 58, icmp(128))),
    "pass-no-service",
    away,
  ),
  stays(
    "classify: Neighbor Advertisement",
    frame6(ipv6(TO_VIP6, 58, icmp(136, 0, zeros(16)))),
    "pass-no-flow",
    away,
  ),
  stays("classify: GRE", frame4(ipv4(TO_VIP4, 47, zeros(8))), "pass-no-service", away),
  stays("classify: ICMPv6 in IPv4", frame4(ipv4(TO_VIP4, 58, zeros(0))), "pass-no-service", away),
];

const fromVip4 = { source: VIP4, destination: CLIENT4 };
const fromVip6 = { source: VIP6, destination: CLIENT6 };
/** From a router to the VIP, about a packet that the server had sent to the client. */
const error4 = (quoted: Uint8Array, type = 3, code = 4): Uint8Array =>
  frame4(ipv4({ source: "198.51.100.1", destination: VIP4 }, 1, icmp(type, code, quoted)));
const error6 = (quoted: Uint8Array, type = 2): Uint8Array =>
  frame6(ipv6({ source: "2001:db8:2::1", destination: VIP6 }, 58, icmp(type, 0, quoted)));
const sent = { from: 80, to: 40_000 };
const quote4 = ipv4(fromVip4, 6, tcp(sent, ACK), { totalLength: 1500 });
const quote6 = ipv6(fromVip6, 6, tcp(sent, ACK), 1400);
const followed = (name: string, frame: Uint8Array): Vector =>
  goes(`classify: ${name}`, { frame, reason: "forward-owner", header: TO_2 }, away);
const unfollowed = (name: string, frame: Uint8Array): Vector =>
  stays(`classify: ${name}`, frame, "pass-no-flow", away);
const unserved = (name: string, frame: Uint8Array): Vector =>
  stays(`classify: ${name}`, frame, "pass-no-service", away);
const tooBigBehindOptions = ipv6(
  fromVip6,
  60,
  Uint8Array.from([...extension(6), ...tcp(sent, ACK)]),
);

export const ICMP_ERRORS: readonly Vector[] = [
  followed("fragmentation needed", error4(quote4)),
  followed("time exceeded, quoting 8 bytes of TCP", error4(quote4.subarray(0, 28), 11)),
  followed("quoting just the ports", error4(quote4.subarray(0, 24), 12)),
  unfollowed("quoting less than the ports", error4(quote4.subarray(0, 23))),
  unfollowed("quoting less than a header", error4(quote4.subarray(0, 19))),
  unfollowed("an error without a quote", error4(zeros(0))),
  followed("port unreachable about UDP", error4(ipv4(fromVip4, 17, udp({ from: 53, to: 40_000 })))),
  followed("quoting IP options", error4(ipv4(fromVip4, 6, tcp(sent, ACK), { options: zeros(8) }))),
  followed(
    "quoting a first fragment",
    error4(ipv4(fromVip4, 6, tcp(sent, ACK), { moreFragments: true })),
  ),
  unfollowed("quoting a later fragment", error4(ipv4(fromVip4, 6, tcp(sent, ACK), { offset: 9 }))),
  unserved("quoting an echo", error4(ipv4(fromVip4, 1, icmp(0)))),
  unfollowed("quoting the other family", error4(quote6)),
  unfollowed(
    "quoting another server",
    error4(ipv4({ ...fromVip4, source: OWN4 }, 6, tcp(sent, ACK))),
  ),
  unserved("a redirect", error4(quote4, 5)),
  followed("packet too big", error6(quote6)),
  followed("time exceeded in IPv6", error6(quote6.subarray(0, 44), 3)),
  unfollowed("quoting less than the ports in IPv6", error6(quote6.subarray(0, 43), 1)),
  followed("quoting IPv6 options", error6(tooBigBehindOptions, 4)),
  unfollowed("quoting too many IPv6 headers", error6(ipv6(fromVip6, 0, new Uint8Array(40)))),
  unserved("an unknown ICMPv6 error", error6(quote6, 5)),
  stays(
    "classify: an error about a flow of no service",
    frame4(
      ipv4(
        { source: "198.51.100.1", destination: "10.0.0.101" },
        1,
        icmp(3, 4, ipv4({ source: "10.0.0.101", destination: CLIENT4 }, 6, tcp(sent, ACK))),
      ),
    ),
    "pass-no-service",
    away,
  ),
];
