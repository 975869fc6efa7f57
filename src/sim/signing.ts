// Signatures and MACs of the simulation (A2). The bytes are those of the real wire; only the arithmetic is replaced by a short keyed sum,
// so that a datagram convinces exactly those whom the real one would convince (driver/cluster/auth.ts): who holds the
// key, or knows the CA.
import { type IpAddress, ipBytes, ipFromBytes } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { encodeProved, MAC_LENGTH, SIGNATURE_LENGTH } from "#wire/cluster/datagram.ts";
import type { AuthKind, Message } from "#wire/cluster/message.ts";
import type { GroupKey } from "./key-ring.ts";

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

const CERTIFICATE_LENGTH = 12;
const TAIL: Readonly<Record<AuthKind, number>> = { signature: SIGNATURE_LENGTH, mac: MAC_LENGTH };

/** FNV-1a over a secret and the bytes; twice, so that a flipped bit cannot hide in it. */
function keyedSum(secret: number, bytes: Uint8Array, end: number): number {
  let sum = 0x811c9dc5 ^ secret;
  for (let at = 0; at < end; at++) sum = Math.imul(sum ^ (bytes[at] ?? 0), 0x01000193);
  return Math.imul(sum ^ (sum >>> 15) ^ secret, 0x2c1b3c6d) >>> 0;
}

/** Of a certificate's owner: nobody else computes it. */
export const privateKey = ({ authority, serial }: Certificate): number =>
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

export function decodeCertificate(bytes: Uint8Array): Certificate | undefined {
  if (bytes.byteLength !== CERTIFICATE_LENGTH) return undefined;
  const view = new DataView(bytes.buffer, bytes.byteOffset);
  const id = view.getUint16(6) as NodeId;
  const address = ipFromBytes(bytes.slice(8, 12));
  return { authority: view.getUint32(0), serial: view.getUint16(4), id, address };
}

function withTail(proved: Uint8Array, kind: AuthKind, secret: number): Uint8Array {
  const length = proved.byteLength;
  const bytes = new Uint8Array(length + TAIL[kind]);
  bytes.set(proved);
  new DataView(bytes.buffer).setUint32(length, keyedSum(secret, proved, length));
  return bytes;
}

/** A datagram's bytes, signed with the node's own key. */
export function signed(
  { certificate, certificateBytes, cluster, boot }: Identity,
  message: Message,
  counter: number,
): Uint8Array {
  const header = { cluster, boot, counter, sender: certificate.id };
  const proved = encodeProved(header, message, certificateBytes);
  return withTail(proved, "signature", privateKey(certificate));
}

/** A datagram's bytes, with a MAC of the group key. */
export function authenticated(
  { certificate, cluster, boot }: Identity,
  { keyId, secret }: GroupKey,
  message: Message,
  counter: number,
): Uint8Array {
  const header = { cluster, boot, counter, sender: certificate.id };
  return withTail(encodeProved(header, message, keyId), "mac", secret);
}

/** Whether the proof at the end of these bytes was made with that secret. */
export function isProvedBy(secret: number, bytes: Uint8Array, kind: AuthKind): boolean {
  const at = bytes.byteLength - TAIL[kind];
  const sum = new DataView(bytes.buffer, bytes.byteOffset).getUint32(at);
  if (keyedSum(secret, bytes, at) !== sum) return false;
  for (let rest = at + 4; rest < bytes.byteLength; rest++) if (bytes[rest] !== 0) return false;
  return true;
}
