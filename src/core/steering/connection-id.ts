// Which node does a QUIC packet name (policy quic; docs/adr/0031)? A server puts its node's id into the connection ids that it chooses,
// in clear, as QUIC-LB does (draft-ietf-quic-load-balancers): byte 0 is the server's business, bytes 1 and 2 are the id, most significant
// byte first, and what follows is its business again. A client sends that back in all packets but its first ones, so these find
// the server whatever became of the client's address and of the tables. Follows bpf/connection-id.h.
//
//   short header (RFC 9000, 17.3)  flags(1) connection id(?)            the length is not on the wire, and nothing needs it
//   long header  (RFC 9000, 17.2)  flags(1) version(4) length(1) connection id(length)  only Handshake packets, of versions 1 and 2:
//                                  before them the id is one that the client made up
import { MAX_NODE_ID, NO_NODE, type NodeId } from "#base/ids.ts";
import { uint16, uint32 } from "#wire/network-order.ts";

const LONG_HEADER = 0x80;
const SHORT_CONNECTION_ID = 1;
const LENGTH = 5;
const LONG_CONNECTION_ID = 6;
const LONGEST = 20;
/** Of a connection id, up to the end of the node's id. */
const NAMING = 3;
/** Handshake packets by version, as in bits 4 and 5 of the flags (RFC 9000, RFC 9369). */
const HANDSHAKE: ReadonlyMap<number, number> = new Map([
  [1, 2],
  [0x6b3343cf, 3],
]);

/** Where the server's connection id is in a datagram; undefined: there is none. */
function connectionId(datagram: Uint8Array): number | undefined {
  const [flags = 0] = datagram;
  if ((flags & LONG_HEADER) === 0) return SHORT_CONNECTION_ID;
  const type = (flags >> 4) & 3;
  if (HANDSHAKE.get(uint32(datagram, 1)) !== type) return undefined;
  const length = datagram[LENGTH] ?? 0;
  const isWhole = LONG_CONNECTION_ID + length <= datagram.byteLength;
  return length >= NAMING && length <= LONGEST && isWhole ? LONG_CONNECTION_ID : undefined;
}

/** @param datagram what a client sent, behind the UDP header. NO_NODE: it names none; there need not be a node of that id. */
export function namedNode(datagram: Uint8Array): NodeId {
  const at = connectionId(datagram);
  if (at === undefined || at + NAMING > datagram.byteLength) return NO_NODE;
  const id = uint16(datagram, at + 1);
  return id <= MAX_NODE_ID ? (id as NodeId) : NO_NODE;
}
