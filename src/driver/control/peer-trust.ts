// Whether the other end of a TLS connection is a node of this cluster, and which. OpenSSL has checked the chain and the dates by
// then; here the certificate is held to the cluster's own profile and revocations (A2). Host names play no part:
// a node is known by the id in its certificate.
import { trustAnchor, verifyCertificate } from "../identity/certificate.ts";
import type { CertificateVerdict, NodeIdentity, TrustAnchor } from "../identity/identity.ts";

/** What the control channel needs of a node's identity. */
export type ControlIdentity = Pick<
  NodeIdentity,
  "id" | "certificatePem" | "privateKeyPem" | "caPem"
>;

/** From the revocation list in force, lower-case hex; asked at every decision. */
export type Revoked = () => ReadonlySet<string>;

export interface TlsMaterial {
  readonly cert: string;
  readonly key: string;
  readonly ca: string;
  readonly minVersion: "TLSv1.3";
}

/** Only the cluster's CA: `ca` takes the place of the CAs that Node brings along. */
export const tlsMaterial = (identity: ControlIdentity): TlsMaterial => ({
  cert: identity.certificatePem,
  key: identity.privateKeyPem,
  ca: identity.caPem,
  minVersion: "TLSv1.3",
});

export class PeerTrust {
  readonly #ca: TrustAnchor;
  readonly #revoked: Revoked;

  constructor(identity: ControlIdentity, revoked: Revoked) {
    this.#ca = trustAnchor(identity.caPem);
    this.#revoked = revoked;
  }

  judge(certificateDer: Uint8Array): CertificateVerdict {
    const terms = { ca: this.#ca, now: new Date(), revoked: this.#revoked() };
    return verifyCertificate(certificateDer, terms);
  }
}
