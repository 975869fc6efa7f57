// Asks whether anybody has an IP address, without claiming it: ARP Probe (RFC 5227 section 2.1.1) for
// IPv4, the Neighbor Solicitation of duplicate address detection (RFC 4862 section 5.4.2) for IPv6; and
// reads the claims that come back.
//
// Not here: simultaneous probes of another machine. Whoever asks has the address configured already, so
// its kernel answers the other's probe.
import {
  familyOf,
  ipBytes,
  ipFromBytes,
  macBytes,
  macFromBytes,
  type IpAddress,
  type MacAddress,
} from "#base/address.ts";
import { decodeArp, encodeArp } from "./arp.ts";
import { refused, type Decoded } from "./decoded.ts";
import {
  BROADCAST,
  encodeEthernet,
  ETHERNET_LENGTH,
  ETHERTYPE_ARP,
  ETHERTYPE_IPV6,
  EthernetView,
} from "./ethernet.ts";
import { transportChecksum } from "./ipv4-checksum.ts";
import { IPV6_LENGTH, PROTOCOL_ICMPV6 } from "./ipv6.ts";
import { NEIGHBOR_LENGTH, NEIGHBOR_SOLICITATION } from "./ndp.ts";
import { putUint16 } from "./network-order.ts";

const UNKNOWN_MAC = new Uint8Array(6);
const NOBODY_IPV4 = new Uint8Array(4);
const NOBODY_IPV6 = new Uint8Array(16);
const NEIGHBOR_ADVERTISEMENT = 136;
const TARGET = 8;
const TARGET_LINK_LAYER = 2;
const OPTION_UNIT = 8;
const HOP_LIMIT = 255;

/** A machine says that it has the address. */
export interface AddressClaim {
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

/** A whole Ethernet frame that asks who has `address`; `mac` is the asker's. */
export function probeFrame(address: IpAddress, mac: MacAddress): Uint8Array {
  return familyOf(address) === 4 ? arpProbe(address, mac) : solicitation(address, mac);
}

function arpProbe(address: IpAddress, mac: MacAddress): Uint8Array {
  const source = macBytes(mac);
  const arp = encodeArp({
    operation: "request",
    senderMac: source,
    senderIp: NOBODY_IPV4, // names nobody, so no cache is changed
    targetMac: UNKNOWN_MAC,
    targetIp: ipBytes(address),
  });
  return encodeEthernet({ destination: BROADCAST, source, etherType: ETHERTYPE_ARP }, arp);
}

/** From the unspecified address, and therefore without a link-layer option (RFC 4861 section 4.3). */
function solicitation(address: IpAddress, mac: MacAddress): Uint8Array {
  const target = ipBytes(address);
  const group = Uint8Array.of(0xff, 0x02, 0, 0, 0, 0, 0, 0, 0, 0, 0, 1, 0xff, 0, 0, 0);
  group.set(target.subarray(13), 13);
  const packet = new Uint8Array(IPV6_LENGTH + NEIGHBOR_LENGTH);
  packet[0] = 0x60;
  putUint16(packet, 4, NEIGHBOR_LENGTH);
  packet[6] = PROTOCOL_ICMPV6;
  packet[7] = HOP_LIMIT;
  packet.set(group, 24);
  const message = packet.subarray(IPV6_LENGTH);
  message[0] = NEIGHBOR_SOLICITATION;
  message.set(target, TARGET);
  const envelope = { source: NOBODY_IPV6, destination: group };
  putUint16(message, 2, transportChecksum(envelope, PROTOCOL_ICMPV6, message));
  const destination = Uint8Array.of(0x33, 0x33, ...group.subarray(12));
  const header = { destination, source: macBytes(mac), etherType: ETHERTYPE_IPV6 };
  return encodeEthernet(header, packet);
}

/** Reads any ARP message with a sender, and any Neighbor Advertisement. Checksums are not looked at. */
export function decodeClaim(frame: Uint8Array): Decoded<AddressClaim> {
  if (frame.byteLength < ETHERNET_LENGTH) return refused("incomplete");
  const ethernet = new EthernetView(frame);
  const payload = frame.subarray(ETHERNET_LENGTH);
  if (ethernet.etherType === ETHERTYPE_ARP) return decodeArpClaim(payload);
  if (ethernet.etherType === ETHERTYPE_IPV6) return decodeAdvertisement(payload, ethernet.source);
  return refused("unsupported");
}

function decodeArpClaim(payload: Uint8Array): Decoded<AddressClaim> {
  const arp = decodeArp(payload);
  if (!arp.ok) return arp;
  const { senderIp, senderMac } = arp.value;
  if (senderIp.every((byte) => byte === 0)) return refused("unsupported"); // itself a probe
  const value = { address: ipFromBytes(senderIp), mac: macFromBytes(senderMac) };
  return { ok: true, value, length: ETHERNET_LENGTH + arp.length };
}

function decodeAdvertisement(packet: Uint8Array, source: Uint8Array): Decoded<AddressClaim> {
  if (packet.byteLength < IPV6_LENGTH + NEIGHBOR_LENGTH) return refused("incomplete");
  const message = packet.subarray(IPV6_LENGTH);
  const advertises = packet[6] === PROTOCOL_ICMPV6 && message[0] === NEIGHBOR_ADVERTISEMENT;
  if (!advertises) return refused("unsupported");
  const mac = linkLayerOption(message.subarray(NEIGHBOR_LENGTH)) ?? source;
  const address = ipFromBytes(message.subarray(TARGET, NEIGHBOR_LENGTH));
  return { ok: true, value: { address, mac: macFromBytes(mac) }, length: frameLength(packet) };
}

const frameLength = (packet: Uint8Array): number => ETHERNET_LENGTH + packet.byteLength;

function linkLayerOption(options: Uint8Array): Uint8Array | undefined {
  let offset = 0;
  while (offset + OPTION_UNIT <= options.byteLength) {
    const length = (options[offset + 1] ?? 0) * OPTION_UNIT;
    if (length === 0) return undefined; // RFC 4861 section 4.6: such a packet is to be discarded
    if (options[offset] === TARGET_LINK_LAYER) return options.subarray(offset + 2, offset + 8);
    offset += length;
  }
  return undefined;
}
