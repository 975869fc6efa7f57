// Proof of origin for datagrams between nodes (A2): discovery is signed with the node's certificate key and
// carries the certificate, so that it convinces a node that knows nothing but the CA. Everything else
// carries a MAC of the group key. What is not proved goes no further than this file.
import { createPrivateKey, type KeyObject, sign, verify, X509Certificate } from "node:crypto";
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import {
  type Datagram,
  type DatagramHeader,
  decodeDatagram,
  encodeProved,
} from "#wire/cluster/datagram.ts";
import { authKindOf, type Message, type RefusalReason } from "#wire/cluster/message.ts";
import type { DecodeFailure } from "#wire/decoded.ts";
import { revocationSet, trustAnchor } from "../identity/certificate.ts";
import type { CertificateVerdict } from "../identity/identity.ts";
import { CertificateCache } from "./certificate-cache.ts";
import { KeyRing } from "./key-ring.ts";

/** Why a datagram was dropped; each has a counter. */
export type DropReason =
  | DecodeFailure
  | "own" // our own broadcast
  | "foreign-cluster"
  | "unknown-key"
  | "bad-mac"
  | "bad-certificate"
  | "wrong-certificate" // valid, but of another node than the sender claims to be
  | "bad-signature"
  | "too-many-strangers";

/** A join request that does not prove what it claims. */
export interface Stranger {
  readonly sender: NodeId;
  readonly boot: bigint;
  readonly request: number;
  readonly reason: RefusalReason;
}

export type Opened =
  | { readonly ok: true; readonly header: DatagramHeader; readonly message: Message }
  | { readonly ok: false; readonly reason: DropReason; readonly stranger?: Stranger };

export interface AuthSettings {
  readonly id: NodeId;
  readonly boot: bigint;
  /** PEM. */
  readonly certificate: string;
  readonly privateKey: string;
  readonly caCertificate: string;
  readonly revoked: readonly string[];
}

const drop = (reason: DropReason): Opened => ({ ok: false, reason });

export class ClusterAuth {
  readonly keys = new KeyRing();
  readonly #id: NodeId;
  readonly #boot: bigint;
  readonly #cluster: Uint8Array;
  readonly #certificate: Uint8Array;
  readonly #privateKey: KeyObject;
  readonly #certificates: CertificateCache;
  #counter = 0;
  #lastMasterKey: number | undefined;

  constructor(settings: AuthSettings) {
    const ca = trustAnchor(settings.caCertificate);
    this.#id = settings.id;
    this.#boot = settings.boot;
    this.#cluster = ca.clusterId;
    this.#certificate = Uint8Array.from(new X509Certificate(settings.certificate).raw);
    this.#privateKey = createPrivateKey(settings.privateKey);
    this.#certificates = new CertificateCache(ca, revocationSet(settings.revoked));
  }

  set revoked(serials: readonly string[]) {
    this.#certificates.revoked = revocationSet(serials);
  }

  /** Sends with the key of the last master keepalive from now on; a master does not call this. */
  followMaster(): void {
    if (this.#lastMasterKey !== undefined) this.keys.follow(this.#lastMasterKey);
    this.#lastMasterKey = undefined;
  }

  /** The datagram to send; undefined as long as there is no group key for it. */
  seal(message: Message): Uint8Array | undefined {
    const isSigned = authKindOf(message.type) === "signature";
    const origin = isSigned ? this.#certificate : this.keys.active;
    if (origin === undefined) return undefined;
    this.#counter += 1;
    const header = {
      cluster: this.#cluster,
      boot: this.#boot,
      counter: this.#counter,
      sender: this.#id,
    };
    const proved = encodeProved(header, message, origin);
    const proof =
      typeof origin === "number"
        ? this.keys.tag(origin, proved)
        : sign(null, proved, this.#privateKey);
    return proof === undefined ? undefined : Buffer.concat([proved, proof]);
  }

  /** @param nowMs any clock that does not go back */
  open(bytes: Uint8Array, from: IpAddress, nowMs: number): Opened {
    const decoded = decodeDatagram(bytes);
    if (!decoded.ok) return drop(decoded.reason);
    const datagram = decoded.value;
    const { header, message, proof, proved } = datagram;
    if (!sameBytes(header.cluster, this.#cluster)) return drop("foreign-cluster");
    if (header.sender === this.#id && header.boot === this.#boot) return drop("own");
    if (proof.kind === "signature") return this.#openSigned(datagram, from, nowMs);
    const verdict = this.keys.check(proof.keyId, proved, proof.tag);
    if (verdict === "unknown-key") return drop("unknown-key");
    if (verdict === "bad") return drop("bad-mac");
    if (message.type === "master-keepalive") this.#lastMasterKey = proof.keyId;
    return { ok: true, header, message };
  }

  #openSigned({ header, message, proof, proved }: Datagram, from: IpAddress, now: number): Opened {
    if (proof.kind !== "signature") return drop("malformed");
    const verdict = this.#certificates.verify(proof.certificate, now);
    if (verdict === undefined) return drop("too-many-strangers");
    if (!verdict.ok) return this.#stranger(header, message, verdict);
    if (verdict.node.id !== header.sender || verdict.node.address !== from) {
      return { ...this.#stranger(header, message, verdict), reason: "wrong-certificate" };
    }
    const good = verify(null, proved, verdict.publicKey, proof.signature);
    return good ? { ok: true, header, message } : drop("bad-signature");
  }

  /** Whoever asks to join is told why not, as far as the machine allows. */
  #stranger(
    header: DatagramHeader,
    message: Message,
    verdict: CertificateVerdict,
  ): Extract<Opened, { ok: false }> {
    if (message.type !== "join-request") return { ok: false, reason: "bad-certificate" };
    const reason = !verdict.ok && verdict.reason === "revoked" ? "revoked" : "certificate";
    const stranger = { ...header, request: message.request, reason } as const;
    return { ok: false, reason: "bad-certificate", stranger };
  }
}

const sameBytes = (a: Uint8Array, b: Uint8Array): boolean =>
  a.byteLength === b.byteLength && a.every((byte, index) => byte === b[index]);
