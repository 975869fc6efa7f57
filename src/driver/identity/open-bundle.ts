// Decides whether a node bundle may be used on this machine (A19). Everything is checked before the
// caller gets anything, and nothing on the machine is touched.
import { createPrivateKey, createPublicKey, type KeyObject, X509Certificate } from "node:crypto";
import { ip } from "#base/address.ts";
import { type ErrorCode, PanError } from "#base/error-codes.ts";
import { type BundleContent, isSignedBy, type NodeBundle, readBundle } from "./bundle.ts";
import { revocationSet, trustAnchor, verifyCertificate } from "./certificate.ts";
import type {
  CertificateRefusal,
  CertifiedNode,
  NodeIdentity,
  Personality,
  TrustAnchor,
} from "./identity.ts";

export interface BundleTerms {
  readonly now: Date;
  /** `cluster.ca` of the configuration; without it, any CA is accepted that signed its own bundle. */
  readonly expectedCa?: string;
  /** `revoked` of the configuration, beside what the bundle itself lists. */
  readonly revoked: readonly string[];
}

const CHANGED = "It was changed, or another CA signed it. Issue it again with `pan node renew`.";

/** The node's identity, or a PanError whose code says why the bundle is refused. */
export function openBundle(file: string, terms: BundleTerms): NodeIdentity {
  const bundle = readBundle(file);
  const anchor = anchorOf(file, bundle);
  if (terms.expectedCa !== undefined && terms.expectedCa !== anchor.fingerprint) {
    throw new PanError(
      "PAN_BUNDLE_FOREIGN",
      `${file} belongs to the CA ${anchor.fingerprint}, but the configuration names ${terms.expectedCa}. ` +
        "Use a bundle of this cluster, or correct cluster.ca.",
    );
  }
  if (!isSignedBy(bundle, anchor.certificate.publicKey)) {
    throw new PanError("PAN_BUNDLE_SIGNATURE", `The signature of ${file} is wrong. ${CHANGED}`);
  }
  const parts = partsOf(file, bundle.content);
  const node = acceptedNode(file, parts, anchor, terms);
  requireAgreement(file, bundle.content, node, parts);
  return identityOf(bundle.content, anchor, node, parts);
}

interface Parts {
  readonly certificate: X509Certificate;
  /** The public half of the bundle's private key. */
  readonly ownKey: KeyObject;
  readonly personality: Personality;
}

/** Signed does not mean well made: without `expectedCa`, anybody's CA may have signed. */
function partsOf(file: string, content: BundleContent): Parts {
  try {
    return {
      certificate: new X509Certificate(content.certificate),
      ownKey: createPublicKey(createPrivateKey(content.privateKey)),
      personality: personalityOf(content),
    };
  } catch {
    // the cause is left out: OpenSSL's and our own messages could quote the key
    const message = `${file} holds a certificate, key or address that cannot be read. ${CHANGED}`;
    throw new PanError("PAN_BUNDLE_UNREADABLE", message);
  }
}

function anchorOf(file: string, bundle: NodeBundle): TrustAnchor {
  try {
    return trustAnchor(bundle.content.caCertificate);
  } catch (cause) {
    const message = `The CA certificate in ${file} is not valid. ${CHANGED}`;
    throw new PanError("PAN_BUNDLE_SIGNATURE", message, { cause });
  }
}

function acceptedNode(
  file: string,
  { certificate, personality }: Parts,
  anchor: TrustAnchor,
  terms: BundleTerms,
): CertifiedNode {
  const verdict = verifyCertificate(certificate.raw, {
    ca: anchor,
    now: terms.now,
    revoked: revocationSet([...terms.revoked, ...personality.security.revoked]),
  });
  if (verdict.ok) return verdict.node;
  const { code, message } = refusal(verdict.reason, certificate, terms.now);
  throw new PanError(code, `${file}: ${message}`);
}

function refusal(
  reason: CertificateRefusal,
  certificate: X509Certificate,
  now: Date,
): { readonly code: ErrorCode; readonly message: string } {
  const clock = `this machine's clock says ${now.toISOString()}`;
  switch (reason) {
    case "expired":
      return {
        code: "PAN_BUNDLE_EXPIRED",
        message:
          `the certificate, or its CA's, ended; the node's is valid until ` +
          `${certificate.validToDate.toISOString()}, ${clock}. Renew it with \`pan node renew\`.`,
      };
    case "not-yet-valid":
      return {
        code: "PAN_BUNDLE_NOT_YET_VALID",
        message:
          `the certificate is valid from ${certificate.validFromDate.toISOString()}, but ` +
          `${clock}. Correct the clock, or wait.`,
      };
    case "revoked":
      return {
        code: "PAN_BUNDLE_REVOKED",
        message:
          `the certificate ${certificate.serialNumber.toLowerCase()} is revoked. If the node ` +
          "may still join, issue a new one with `pan node renew`.",
      };
    case "malformed":
    case "foreign-ca":
    case "wrong-profile":
      return {
        code: "PAN_BUNDLE_SIGNATURE",
        message: `the certificate is not one of a node of this CA (${reason}). ${CHANGED}`,
      };
  }
}

/** The file says some things twice; where the two differ, it was not made by `pan node`. */
function requireAgreement(
  file: string,
  content: BundleContent,
  node: CertifiedNode,
  { certificate, ownKey }: Parts,
): void {
  const agrees =
    content.clusterName === node.clusterName &&
    content.node.id === node.id &&
    content.node.name === node.name &&
    content.node.address === node.address &&
    ownKey.equals(certificate.publicKey);
  if (agrees) return;
  const message = `${file} contradicts its own certificate. ${CHANGED}`;
  throw new PanError("PAN_BUNDLE_SIGNATURE", message);
}

const personalityOf = (content: BundleContent): Personality => ({
  vips: content.vips.map(ip),
  routes: content.routes.map(({ destination, via }) => ({ destination, via: ip(via) })),
  errorLog: content.errorLog,
  security: content.security,
});

function identityOf(
  content: BundleContent,
  anchor: TrustAnchor,
  node: CertifiedNode,
  { certificate, personality }: Parts,
): NodeIdentity {
  return {
    clusterName: node.clusterName,
    clusterId: anchor.clusterId,
    caFingerprint: anchor.fingerprint,
    id: node.id,
    name: node.name,
    address: node.address,
    certificatePem: content.certificate,
    certificateDer: Uint8Array.from(certificate.raw),
    privateKeyPem: content.privateKey,
    caPem: content.caCertificate,
    serial: node.serial,
    notAfter: certificate.validToDate,
    personality,
  };
}
