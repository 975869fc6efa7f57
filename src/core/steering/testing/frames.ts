// Builders of frames for tests, byte by byte from the RFCs and without the product's own encoders and constants.
// Transport checksums are left 0: nothing in steering looks at them.
import { ip, ipBytes, mac, macBytes } from "#base/address.ts";

export function join(...parts: readonly Uint8Array[]): Uint8Array {
  const bytes = new Uint8Array(parts.reduce((sum, part) => sum + part.byteLength, 0));
  let at = 0;
  for (const part of parts) {
    bytes.set(part, at);
    at += part.byteLength;
  }
  return bytes;
}

export const u16 = (value: number): Uint8Array => Uint8Array.of(value >>> 8, value);
const u32 = (value: number): Uint8Array => join(u16(value >>> 16), u16(value & 0xffff));
export const zeros = (count: number): Uint8Array => new Uint8Array(count);
const address = (text: string): Uint8Array => ipBytes(ip(text));

export interface Link {
  readonly to: string;
  readonly from: string;
}

/** MACs as text; EtherType as a number; without padding. */
export const ethernet = (link: Link, etherType: number, payload: Uint8Array): Uint8Array =>
  join(macBytes(mac(link.to)), macBytes(mac(link.from)), u16(etherType), payload);

export interface Ports {
  readonly from: number;
  readonly to: number;
}

export const FIN = 0x01;
export const SYN = 0x02;
export const RST = 0x04;
export const ACK = 0x10;

/** 20 bytes and the payload. */
export const tcp = (ports: Ports, flags: number, payload = zeros(0)): Uint8Array =>
  join(
    u16(ports.from),
    u16(ports.to),
    u32(0x01020304),
    u32((flags & ACK) === 0 ? 0 : 0x0a0b0c0d),
    Uint8Array.of(0x50, flags),
    u16(0xffff),
    zeros(4),
    payload,
  );

/** 8 bytes and the payload. */
export const udp = (ports: Ports, payload = zeros(0)): Uint8Array =>
  join(u16(ports.from), u16(ports.to), u16(8 + payload.byteLength), u16(0), payload);

/** 8 bytes and the message, for ICMP and ICMPv6. */
export const icmp = (type: number, code = 0, message = zeros(0)): Uint8Array =>
  join(Uint8Array.of(type, code), zeros(6), message);

/** ESP (RFC 4303): SPI, sequence number, and the rest, which nobody on the way can read. */
export const esp = (spi: number): Uint8Array => join(u32(spi), u32(1), zeros(16));

/** AH (RFC 4302) before a TCP segment. */
export const ah = (spi: number): Uint8Array =>
  join(Uint8Array.of(6, 4, 0, 0), u32(spi), u32(1), zeros(12));

/** GRE (RFC 2890) of IPv4; with a checksum field before the key, and without a key. */
export const gre = (key: number | undefined, checksum = false): Uint8Array =>
  join(
    Uint8Array.of((checksum ? 0x80 : 0) | (key === undefined ? 0 : 0x20), 0, 0x08, 0x00),
    zeros(checksum ? 4 : 0),
    key === undefined ? zeros(0) : u32(key),
    zeros(8),
  );

/** GRE as PPTP has it (RFC 2637): version 1, key flag, payload length and call id. */
export const pptp = (callId: number): Uint8Array =>
  join(Uint8Array.of(0x20, 0x01, 0x88, 0x0b), u16(8), u16(callId), zeros(8));

/** L2TP (RFC 2661): a control message has a length field, a data message may go without. */
export const l2tp = (tunnel: number, session: number, control: boolean): Uint8Array =>
  control
    ? join(u16(0xc802), u16(12), u16(tunnel), u16(session), zeros(4))
    : join(u16(0x0002), u16(tunnel), u16(session), zeros(8));

export interface Addresses {
  readonly source: string;
  readonly destination: string;
}

export interface Ipv4Options {
  readonly identification?: number;
  readonly moreFragments?: boolean;
  /** In units of 8 bytes. */
  readonly offset?: number;
  /** A multiple of 4 bytes, at most 40. */
  readonly options?: Uint8Array;
  /** Instead of the true total length. */
  readonly totalLength?: number;
}

function headerChecksum(header: Uint8Array): number {
  let sum = 0;
  for (let at = 0; at < header.byteLength; at += 2) {
    sum += ((header[at] ?? 0) << 8) | (header[at + 1] ?? 0);
  }
  while (sum > 0xffff) sum = (sum & 0xffff) + (sum >>> 16);
  return ~sum & 0xffff;
}

/** An IPv4 packet (without Ethernet). */
export function ipv4(
  addresses: Addresses,
  protocol: number,
  payload: Uint8Array,
  more: Ipv4Options = {},
): Uint8Array {
  const options = more.options ?? zeros(0);
  const length = 20 + options.byteLength;
  const header = join(
    Uint8Array.of(0x40 | (length / 4), 0),
    u16(more.totalLength ?? length + payload.byteLength),
    u16(more.identification ?? 0),
    u16((more.moreFragments === true ? 0x2000 : 0) | (more.offset ?? 0)),
    Uint8Array.of(64, protocol, 0, 0),
    address(addresses.source),
    address(addresses.destination),
    options,
  );
  header.set(u16(headerChecksum(header)), 10);
  return join(header, payload);
}

/** An IPv6 packet (without Ethernet); `nextHeader` is that of the first extension header, if there is one. */
export const ipv6 = (
  addresses: Addresses,
  nextHeader: number,
  payload: Uint8Array,
  payloadLength = payload.byteLength,
): Uint8Array =>
  join(
    Uint8Array.of(0x60, 0, 0, 0),
    u16(payloadLength),
    Uint8Array.of(nextHeader, 64),
    address(addresses.source),
    address(addresses.destination),
    payload,
  );

/** A hop-by-hop, routing or destination options header of `units` · 8 bytes, all of it one PadN option. */
export const extension = (nextHeader: number, units = 1): Uint8Array =>
  join(Uint8Array.of(nextHeader, units - 1, 1, units * 8 - 4), zeros(units * 8 - 4));

export interface FragmentField {
  readonly identification: number;
  /** In units of 8 bytes. */
  readonly offset: number;
  readonly more: boolean;
}

/** IPv6 Fragment header. */
export const fragmentHeader = (nextHeader: number, field: FragmentField): Uint8Array =>
  join(
    Uint8Array.of(nextHeader, 0),
    u16((field.offset << 3) | (field.more ? 1 : 0)),
    u32(field.identification),
  );

/** ARP payload; operation 1 asks, 2 answers. */
export const arp = (
  operation: number,
  sender: { readonly mac: string; readonly ip: string },
  targetIp: string,
): Uint8Array =>
  join(
    Uint8Array.of(0, 1, 8, 0, 6, 4),
    u16(operation),
    macBytes(mac(sender.mac)),
    address(sender.ip),
    zeros(6),
    address(targetIp),
  );

/** ICMPv6 message that asks for `target`, with the asker's MAC. */
export const solicitation = (target: string, senderMac: string): Uint8Array =>
  join(
    Uint8Array.of(135, 0, 0, 0, 0, 0, 0, 0),
    address(target),
    Uint8Array.of(1, 1),
    macBytes(mac(senderMac)),
  );
