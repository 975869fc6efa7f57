// What tells the flows of one client apart (A14): 32 bits from behind the IP header, as a little-endian machine loads them.
//
//   TCP, UDP           source port
//   ESP, AH            SPI (RFC 4303, 4302)
//   GRE                key (RFC 2890); PPTP's GRE, version 1: call id (RFC 2637)
//   L2TP over UDP 1701 tunnel id and session id (RFC 2661), of control and data messages
//   everything else    0
//
// The ids in ESP, AH, PPTP and L2TP are those that the *receiver* has chosen, so what an ICMP error quotes has other ones
// than what comes in: nothing is taken from such a quotation. A GRE key is the same both ways.
import { PROTOCOL_TCP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import { destinationPort, UDP_LENGTH } from "#wire/udp.ts";

export const PROTOCOL_GRE = 47;
export const PROTOCOL_ESP = 50;
export const PROTOCOL_AH = 51;
export const L2TP_PORT = 1701;

const AH_SPI = 4;
const GRE_HAS_CHECKSUM = 0xc0;
const GRE_HAS_KEY = 0x20;
const GRE_VERSION = 0x07;
const PPTP_CALL_ID = 6;
const L2TP_HAS_LENGTH = 0x40;
const L2TP_VERSION = 0x0f;

/** Little-endian load; 0 where the bytes end before. */
function load(bytes: Uint8Array, at: number, count: 2 | 4): number {
  if (at + count > bytes.byteLength) return 0;
  let value = 0;
  for (let index = count - 1; index >= 0; index--) value = value * 256 + (bytes[at + index] ?? 0);
  return value;
}

/** A port as the two bytes of it in network order are loaded. */
export const portWord = (port: number): number => ((port & 0xff) << 8) | (port >>> 8);

function ofGre(header: Uint8Array): number {
  const [flags = 0, version = 0] = header;
  switch (header.byteLength < 4 ? -1 : version & GRE_VERSION) {
    case 0:
      if ((flags & GRE_HAS_KEY) === 0) return 0;
      return load(header, (flags & GRE_HAS_CHECKSUM) === 0 ? 4 : 8, 4);
    case 1:
      return load(header, PPTP_CALL_ID, 2);
    default:
      return 0;
  }
}

/** Tunnel and session id; undefined when it is not version 2 or cut short. */
function ofL2tp(message: Uint8Array): number | undefined {
  const [flags = 0, version = 0] = message;
  const ids = (flags & L2TP_HAS_LENGTH) === 0 ? 2 : 4;
  if ((version & L2TP_VERSION) !== 2 || message.byteLength < ids + 4) return undefined;
  return load(message, ids, 4);
}

/** Of a packet to a server; `transport` begins behind the IP headers. */
export function discriminatorOf(protocol: number, transport: Uint8Array): number {
  switch (protocol) {
    case PROTOCOL_UDP:
      if (destinationPort(transport) !== L2TP_PORT) return load(transport, 0, 2);
      return ofL2tp(transport.subarray(UDP_LENGTH)) ?? load(transport, 0, 2);
    case PROTOCOL_TCP:
      return load(transport, 0, 2);
    case PROTOCOL_ESP:
      return load(transport, 0, 4);
    case PROTOCOL_AH:
      return load(transport, AH_SPI, 4);
    case PROTOCOL_GRE:
      return ofGre(transport);
    default:
      return 0;
  }
}

/** Of the flow that an ICMP error quotes: `transport` is what the server sent. */
export function quotedDiscriminator(protocol: number, transport: Uint8Array): number {
  switch (protocol) {
    case PROTOCOL_TCP:
      return load(transport, 2, 2);
    case PROTOCOL_UDP:
      return load(transport, 0, 2) === portWord(L2TP_PORT) ? 0 : load(transport, 2, 2);
    case PROTOCOL_GRE:
      return ((transport[1] ?? 0) & GRE_VERSION) === 0 ? ofGre(transport) : 0;
    default:
      return 0;
  }
}
