// Internet Group Management Protocol (RFC 2236): version 2 membership reports, by which a switch that listens learns behind
// which of its ports a group's members are. In an IPv4 packet with the Router Alert option (RFC 2113):
//   type(1) 0(1) checksum(2) | group(4)
import { assert } from "#base/assert.ts";
import { refused, type Decoded } from "./decoded.ts";
import { encodeEthernet, ETHERTYPE_IPV4 } from "./ethernet.ts";
import { internetChecksum } from "./ipv4-checksum.ts";
import { Ipv4View } from "./ipv4.ts";
import { putUint16, uint16 } from "./network-order.ts";

export const PROTOCOL_IGMP = 2;
const MEMBERSHIP_REPORT = 0x16;
const REPORT_LENGTH = 8;
const HEADER_LENGTH = 24;
const ROUTER_ALERT = [0x94, 0x04, 0x00, 0x00] as const;
/** Internetwork control, as routing protocols have it. */
const TYPE_OF_SERVICE = 0xc0;
const DONT_FRAGMENT = 0x4000;

/** Both have 4 bytes. */
export interface MembershipReport {
  readonly source: Uint8Array;
  readonly group: Uint8Array;
}

/** The IPv4 packet; it goes to the group itself and lives for one hop (RFC 2236 section 2). */
export function encodeMembershipReport({ source, group }: MembershipReport): Uint8Array {
  assert(source.byteLength === 4 && group.byteLength === 4, "IGMP is for IPv4");
  const packet = new Uint8Array(HEADER_LENGTH + REPORT_LENGTH);
  packet[0] = 0x40 | (HEADER_LENGTH / 4);
  packet[1] = TYPE_OF_SERVICE;
  putUint16(packet, 2, packet.byteLength);
  putUint16(packet, 6, DONT_FRAGMENT);
  packet[8] = 1; // time to live
  packet[9] = PROTOCOL_IGMP;
  packet.set(source, 12);
  packet.set(group, 16);
  packet.set(ROUTER_ALERT, 20);
  putUint16(packet, 10, internetChecksum(packet.subarray(0, HEADER_LENGTH)));
  const report = packet.subarray(HEADER_LENGTH);
  report[0] = MEMBERSHIP_REPORT;
  report.set(group, 4);
  putUint16(report, 2, internetChecksum(report));
  return packet;
}

/** Reads an IPv4 packet that is a version 2 report; one with a wrong checksum is none. */
export function decodeMembershipReport(packet: Uint8Array): Decoded<MembershipReport> {
  const header = Ipv4View.over(packet);
  if (!(header instanceof Ipv4View)) return refused(header);
  if (header.protocol !== PROTOCOL_IGMP) return refused("unsupported");
  const length = header.headerLength + REPORT_LENGTH;
  if (packet.byteLength < length) return refused("incomplete");
  if (header.totalLength < length) return refused("malformed");
  const report = packet.subarray(header.headerLength, length);
  if (report[0] !== MEMBERSHIP_REPORT) return refused("unsupported");
  if (internetChecksum(report) !== 0) return refused("malformed");
  return { ok: true, value: { source: header.source, group: report.subarray(4) }, length };
}

/** The frame of a report: it goes to the group's own Ethernet address. */
export function membershipReportFrame(report: MembershipReport, source: Uint8Array): Uint8Array {
  const destination = groupMacBytes(report.group);
  const header = { destination, source, etherType: ETHERTYPE_IPV4 };
  return encodeEthernet(header, encodeMembershipReport(report));
}

/** Ethernet address of an IPv4 group (RFC 1112 section 6.4): its last 23 bits. */
export function groupMacBytes(group: Uint8Array): Uint8Array {
  assert(group.byteLength === 4, "an IPv4 group");
  const low = uint16(group, 2);
  return Uint8Array.of(0x01, 0x00, 0x5e, (group[1] ?? 0) & 0x7f, low >>> 8, low & 0xff);
}
