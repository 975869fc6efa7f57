// Who a node is: the shapes that a bundle file carries, and what the rest of the agent gets of it (A19).
import type { KeyObject, X509Certificate } from "node:crypto";
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";

/** A route that the node needs to reach its clients, applied with the rest of its personality. */
export interface StaticRoute {
  /** "0.0.0.0/0", "fd00::/8". */
  readonly destination: string;
  readonly via: IpAddress;
}

/** What the bundle says beside the certificate (A19). */
export interface Personality {
  readonly vips: readonly IpAddress[];
  readonly routes: readonly StaticRoute[];
  /** Where the node writes its error log: an absolute path, or "stderr". */
  readonly errorLog: string;
  readonly security: {
    /** Serial numbers that were revoked when the bundle was issued, lower-case hex. */
    readonly revoked: readonly string[];
    readonly minimumTls: "TLSv1.3";
  };
}

/** A checked bundle. The private key is in memory only; it is never logged or shown. */
export interface NodeIdentity {
  readonly clusterName: string;
  /** First eight bytes of SHA-256 over the CA certificate's DER. */
  readonly clusterId: Uint8Array;
  /** "sha256:<64 hex digits>" of the CA certificate; `cluster.ca` in the configuration. */
  readonly caFingerprint: string;
  readonly id: NodeId;
  readonly name: string;
  readonly address: IpAddress;
  readonly certificatePem: string;
  readonly certificateDer: Uint8Array;
  readonly privateKeyPem: string;
  readonly caPem: string;
  /** Lower-case hex without leading zeros. */
  readonly serial: string;
  readonly notAfter: Date;
  readonly personality: Personality;
}

/** The CA that this cluster trusts. Made once by `trustAnchor`, used for every check. */
export interface TrustAnchor {
  readonly certificate: X509Certificate;
  readonly clusterName: string;
  readonly clusterId: Uint8Array;
  readonly fingerprint: string;
}

/** What a valid node certificate says. */
export interface CertifiedNode {
  readonly id: NodeId;
  readonly name: string;
  readonly address: IpAddress;
  readonly serial: string;
  readonly clusterName: string;
}

/** Why a certificate is refused; counted by the reader of messages (A2). */
export type CertificateRefusal =
  | "malformed" // not one DER certificate
  | "foreign-ca" // not issued by this cluster's CA
  | "wrong-profile" // issued by the CA, but not for a node of this cluster
  | "not-yet-valid"
  | "expired"
  | "revoked";

export type CertificateVerdict =
  | { readonly ok: true; readonly node: CertifiedNode; readonly publicKey: KeyObject }
  | { readonly ok: false; readonly reason: CertificateRefusal };

export interface CertificateTerms {
  readonly ca: TrustAnchor;
  readonly now: Date;
  /** From `revocationSet`. */
  readonly revoked: ReadonlySet<string>;
}
