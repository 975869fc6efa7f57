// Proof of origin in the simulation (A2). The bytes are those of the real wire; only the arithmetic of signatures and MACs is
// replaced by a short keyed sum, so that a datagram convinces exactly those whom the real one would convince
// (driver/cluster/auth.ts): who holds the key, or knows the CA.
import type { IpAddress } from "#base/address.ts";
import { ipBytes, ipFromBytes } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import {
  type Datagram,
  decodeDatagram,
  encodeProved,
  MAC_LENGTH,
  SIGNATURE_LENGTH,
} from "#wire/cluster/datagram.ts";
import { authKindOf, type Message, type RefusalReason } from "#wire/cluster/message.ts";
import type { KeyRing } from "./key-ring.ts";

export interface Certificate {
  /** Names the CA; no two have the same. */
  readonly authority: number;
  readonly serial: number;
  readonly id: NodeId;
  readonly address: IpAddress;
}

export interface Identity {
  readonly certificate: Certificate;
  readonly certificateBytes: Uint8Array;
  readonly cluster: Uint8Array;
  readonly boot: bigint;
}

/** A datagram on its way. What it says is read once, however many receive it. */
export interface Packet {
  readonly bytes: Uint8Array;
  readonly from: IpAddress;
  /** Undefined as long as nobody has looked; null: it cannot be read. */
  decoded: Datagram | null | undefined;
  /** The secret by which its proof was found good. */
  provedBy: number | undefined;
  /** Set by an attacker; nobody but the checkers looks at it. */
  readonly hostile: string | undefined;
}

export type Opened =
  | { readonly ok: true; readonly datagram: Datagram }
  | { readonly ok: false; readonly reason: string; readonly stranger?: Stranger };

/** Whoever asks to join is told why not. */
export interface Stranger {
  readonly sender: NodeId;
  readonly boot: bigint;
  readonly request: number;
  readonly reason: RefusalReason;
}

const CERTIFICATE_LENGTH = 12;

/** FNV-1a over a secret and the bytes; twice, so that a flipped bit cannot hide in it. */
function keyedSum(secret: number, bytes: Uint8Array, end: number): number {
  let sum = 0x811c9dc5 ^ secret;
  for (let at = 0; at < end; at++) sum = Math.imul(sum ^ (bytes[at] ?? 0), 0x01000193);
  return Math.imul(sum ^ (sum >>> 15) ^ secret, 0x2c1b3c6d) >>> 0;
}

/** Of a certificate's owner: nobody else computes it. */
const privateKey = ({ authority, serial }: Certificate): number =>
  Math.imul(authority ^ Math.imul(serial + 1, 0x9e3779b1), 0x85ebca6b) | 1;

export function encodeCertificate(certificate: Certificate): Uint8Array {
  const bytes = new Uint8Array(CERTIFICATE_LENGTH);
  const view = new DataView(bytes.buffer);
  view.setUint32(0, certificate.authority);
  view.setUint16(4, certificate.serial);
  view.setUint16(6, certificate.id);
  bytes.set(ipBytes(certificate.address), 8);
  return bytes;
}

function decodeCertificate(bytes: Uint8Array): Certificate | undefined {
  if (bytes.byteLength !== CERTIFICATE_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const id = view.getUint16(6) as NodeId;
  const address = ipFromBytes(bytes.slice(8, 12));
  return { authority: view.getUint32(0), serial: view.getUint16(4), id, address };
}

function withTail(proved: Uint8Array, length: number, sum: number): Uint8Array {
  const bytes = new Uint8Array(proved.byteLength + length);
  bytes.set(proved);
  new DataView(bytes.buffer).setUint32(proved.byteLength, sum);
  return bytes;
}

/** Undefined: a key is needed and there is none. */
export function seal(
  identity: Identity,
  keys: KeyRing,
  message: Message,
  counter: number,
): Uint8Array | undefined {
  const isSigned = authKindOf(message.type) === "signature";
  const { certificate, certificateBytes, cluster, boot } = identity;
  const header = { cluster, boot, counter, sender: certificate.id };
  if (isSigned) {
    const proved = encodeProved(header, message, certificateBytes);
    const sum = keyedSum(privateKey(certificate), proved, proved.byteLength);
    return withTail(proved, SIGNATURE_LENGTH, sum);
  }
  const key = keys.active;
  if (key === undefined) return undefined;
  const proved = encodeProved(header, message, key.keyId);
  return withTail(proved, MAC_LENGTH, keyedSum(key.secret, proved, proved.byteLength));
}

function read(packet: Packet): Datagram | null {
  if (packet.decoded === undefined) {
    const decoded = decodeDatagram(packet.bytes);
    packet.decoded = decoded.ok ? decoded.value : null;
  }
  return packet.decoded;
}

const proves = (packet: Packet, proved: Uint8Array, secret: number): boolean => {
  if (packet.provedBy === secret) return true;
  const { bytes } = packet;
  const at = proved.byteLength;
  const sum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
  if (keyedSum(secret, bytes, at) !== sum) return false;
  for (let rest = at + 4; rest < bytes.byteLength; rest++) if (bytes[rest] !== 0) return false;
  packet.provedBy = secret;
  return true;
};

const drop = (reason: string): Opened => ({ ok: false, reason });

/** What ClusterAuth.open decides, for the same datagram. */
export function open(
  packet: Packet,
  identity: Identity,
  keys: KeyRing,
  revoked: ReadonlySet<number>,
): Opened {
  const datagram = read(packet);
  if (datagram === null) return drop("malformed");
  const { header, proof, proved } = datagram;
  for (let at = 0; at < 8; at++) {
    if (header.cluster[at] !== identity.cluster[at]) return drop("foreign-cluster");
  }
  if (header.sender === identity.certificate.id && header.boot === identity.boot)
    return drop("own");
  if (proof.kind === "mac") {
    const secret = keys.secretOf(proof.keyId);
    if (secret === undefined) return drop("unknown-key");
    if (!proves(packet, proved, secret)) return drop("bad-mac");
    return { ok: true, datagram };
  }
  return openSigned(packet, datagram, proof.certificate, identity, revoked);
}

function openSigned(
  packet: Packet,
  datagram: Datagram,
  bytes: Uint8Array,
  identity: Identity,
  revoked: ReadonlySet<number>,
): Opened {
  const certificate = decodeCertificate(bytes);
  const isOurs = certificate?.authority === identity.certificate.authority;
  if (certificate === undefined || !isOurs) return strangerTo(datagram, "certificate");
  if (revoked.has(certificate.serial)) return strangerTo(datagram, "revoked");
  if (certificate.id !== datagram.header.sender || certificate.address !== packet.from) {
    return strangerTo(datagram, "certificate");
  }
  if (!proves(packet, datagram.proved, privateKey(certificate))) return drop("bad-signature");
  return { ok: true, datagram };
}

function strangerTo({ header, message }: Datagram, reason: RefusalReason): Opened {
  if (message.type !== "join-request") return drop("bad-certificate");
  const { sender, boot } = header;
  const stranger = { sender, boot, request: message.request, reason };
  return { ok: false, reason: "bad-certificate", stranger };
}
