// Proof of origin in the simulation (A2): what a node sends so that others believe it, and whom it believes. What
// ClusterAuth (driver/cluster/auth.ts) decides, for the same datagrams.
import type { NodeId } from "#base/ids.ts";
import { authKindOf, type Message, type RefusalReason } from "#wire/cluster/message.ts";
import type { KeyRing } from "./key-ring.ts";
import { authenticatedPacket, type Packet, type Said, signedPacket } from "./packet.ts";
import { decodeCertificate, type Identity, privateKey } from "./signing.ts";

export type Opened =
  | { readonly ok: true; readonly datagram: Said }
  | { readonly ok: false; readonly reason: string; readonly stranger?: Stranger };

/** Whoever asks to join is told why not. */
export interface Stranger {
  readonly sender: NodeId;
  readonly boot: bigint;
  readonly request: number;
  readonly reason: RefusalReason;
}

/** Undefined: a key is needed and there is none. */
export function seal(
  identity: Identity,
  keys: KeyRing,
  message: Message,
  counter: number,
): Packet | undefined {
  if (authKindOf(message.type) === "signature") return signedPacket(identity, message, counter);
  const key = keys.active;
  return key === undefined ? undefined : authenticatedPacket(identity, key, message, counter);
}

const drop = (reason: string): Opened => ({ ok: false, reason });

export function open(
  packet: Packet,
  identity: Identity,
  keys: KeyRing,
  revoked: ReadonlySet<number>,
): Opened {
  const datagram = packet.said;
  if (datagram === null) return drop("malformed");
  const { header, proof } = datagram;
  for (let at = 0; at < 8; at++) {
    if (header.cluster[at] !== identity.cluster[at]) return drop("foreign-cluster");
  }
  if (header.sender === identity.certificate.id && header.boot === identity.boot)
    return drop("own");
  if (proof.kind === "mac") {
    const secret = keys.secretOf(proof.keyId);
    if (secret === undefined) return drop("unknown-key");
    return packet.isProvedBy(secret) ? { ok: true, datagram } : drop("bad-mac");
  }
  return openSigned(packet, datagram, proof.certificate, identity, revoked);
}

function openSigned(
  packet: Packet,
  datagram: Said,
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
  const isGood = packet.isProvedBy(privateKey(certificate));
  return isGood ? { ok: true, datagram } : drop("bad-signature");
}

function strangerTo({ header, message }: Said, reason: RefusalReason): Opened {
  if (message.type !== "join-request") return drop("bad-certificate");
  const { sender, boot } = header;
  const stranger = { sender, boot, request: message.request, reason };
  return { ok: false, reason: "bad-certificate", stranger };
}
