// One UDP datagram between nodes: header, body, proof of origin. Little-endian.
//
//   0 magic "PNLY"   4 version   5 type   6 proof (1 signature, 2 MAC)   7 key id (MAC)
//   8 cluster (8)   16 boot (8)   24 counter (8)   32 sender (2)   34 body length (2)   36 body …
//   then, signature: certificate length (2), certificate (DER), Ed25519 signature (64)
//         MAC:       first 16 bytes of HMAC-SHA-256
// The proof covers every byte before the signature or the MAC. Making and checking it is not decided here.
import { assert } from "#base/assert.ts";
import type { NodeId } from "#base/ids.ts";
import { ByteReader, ByteWriter } from "../byte-cursor.ts";
import { type Decoded, refused } from "../decoded.ts";
import { codeOf, readBody, typeOfCode, writeBody } from "./body.ts";
import * as field from "./field.ts";
import { type AuthKind, authKindOf, type Message } from "./message.ts";

export const DATAGRAM_VERSION = 1;
export const HEADER_LENGTH = 36;
export const SIGNATURE_LENGTH = 64;
export const MAC_LENGTH = 16;
/** No longer datagram is sent or read: it fits an Ethernet frame, tagged and tunnelled. */
export const MAX_DATAGRAM = 1400;

const MAGIC = 0x594c4e50; // "PNLY"
const BODY_LENGTH = 34;
const KIND_CODES: Readonly<Record<AuthKind, number>> = { signature: 1, mac: 2 };

export interface DatagramHeader {
  /** First eight bytes of SHA-256 over the CA certificate. */
  readonly cluster: Uint8Array;
  readonly boot: bigint;
  readonly counter: number;
  readonly sender: NodeId;
}

export type Proof =
  | { readonly kind: "signature"; readonly certificate: Uint8Array; readonly signature: Uint8Array }
  | { readonly kind: "mac"; readonly keyId: number; readonly tag: Uint8Array };

export interface Datagram {
  readonly header: DatagramHeader;
  readonly message: Message;
  readonly proof: Proof;
  /** What the proof covers. A view. */
  readonly proved: Uint8Array;
}

/** For one datagram at a time: memory of its own for each would cost more than all that is written there. */
const scratch = new ByteWriter();

/**
 * Everything that the proof covers; the caller appends the signature or the MAC.
 * @param origin the certificate (DER) of a signed message, or the key id of a MAC
 */
export function encodeProved(
  header: DatagramHeader,
  message: Message,
  origin: Uint8Array | number,
): Uint8Array {
  const kind = authKindOf(message.type);
  assert((kind === "mac") === (typeof origin === "number"), "each type has one kind of proof");
  assert(header.cluster.byteLength === 8, "a cluster id has eight bytes");
  const out = scratch;
  out.restart();
  out.u32(MAGIC);
  out.u8(DATAGRAM_VERSION);
  out.u8(codeOf(message.type));
  out.u8(KIND_CODES[kind]);
  out.u8(typeof origin === "number" ? origin : 0);
  out.put(header.cluster);
  field.putBoot(out, header.boot);
  field.putCounter(out, header.counter);
  out.u16(header.sender);
  out.u16(0);
  writeBody(out, message);
  out.replaceU16(BODY_LENGTH, out.length - HEADER_LENGTH);
  if (typeof origin !== "number") {
    out.u16(origin.byteLength);
    out.put(origin);
  }
  return out.written().slice();
}

export function decodeDatagram(bytes: Uint8Array): Decoded<Datagram> {
  const reader = new ByteReader(bytes);
  if (reader.remaining < HEADER_LENGTH) return refused("incomplete");
  if (reader.u32() !== MAGIC) return refused("malformed");
  if (reader.u8() !== DATAGRAM_VERSION) return refused("unsupported");
  const type = typeOfCode(reader.u8());
  const [kindCode, keyId] = [reader.u8(), reader.u8()];
  if (type === undefined) return refused("unsupported");
  const kind = authKindOf(type);
  if (kindCode !== KIND_CODES[kind] || (kind === "signature" && keyId !== 0)) {
    return refused("malformed");
  }
  const cluster = reader.take(8);
  const boot = field.boot(reader);
  const counter = field.counter(reader);
  const sender = field.node(reader);
  const body = reader.take(reader.u16());
  if (reader.short) return refused("incomplete");
  if (counter === undefined || sender === undefined || sender === 0) return refused("malformed");
  const message = decodeBody(type, body);
  if (message === undefined) return refused("malformed");
  const proof = kind === "mac" ? readMac(reader, keyId) : readSignature(reader);
  if (reader.short) return refused("incomplete");
  if (reader.remaining > 0) return refused("malformed");
  const tail = kind === "mac" ? MAC_LENGTH : SIGNATURE_LENGTH;
  const proved = bytes.subarray(0, bytes.byteLength - tail);
  const header = { cluster, boot, counter, sender };
  return { ok: true, value: { header, message, proof, proved }, length: bytes.byteLength };
}

/** The body says how long it is, so one that is too short, or too long, is wrong and not incomplete. */
function decodeBody(type: Message["type"], body: Uint8Array): Message | undefined {
  const reader = new ByteReader(body);
  const message = readBody(type, reader);
  return reader.short || reader.remaining > 0 ? undefined : message;
}

const readMac = (reader: ByteReader, keyId: number): Proof => ({
  kind: "mac",
  keyId,
  tag: reader.take(MAC_LENGTH),
});

const readSignature = (reader: ByteReader): Proof => ({
  kind: "signature",
  certificate: reader.take(reader.u16()),
  signature: reader.take(SIGNATURE_LENGTH),
});
