// Decides whether a certificate is one of a node of this cluster (A2). Used for bundles, for the join
// request of a peer, and for TLS, so that there is one answer. The profile:
//   Ed25519, X.509 v3 · subject CN=<node name> · SAN URI:panoply://<cluster>/<node id>, IP:<address>
//   EKU serverAuth and clientAuth · issued by the cluster's CA (basicConstraints CA, pathlen 0)
import { createHash, X509Certificate } from "node:crypto";
import { parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { MAX_NODE_ID, nodeId } from "#base/ids.ts";
import { serialText } from "#base/serial-number.ts";
import type {
  CertificateTerms,
  CertificateVerdict,
  CertifiedNode,
  TrustAnchor,
} from "./identity.ts";

const SERVER_AUTH = "1.3.6.1.5.5.7.3.1";
const CLIENT_AUTH = "1.3.6.1.5.5.7.3.2";
/** RFC 1123 label: no comma, equals sign or quote can enter the text forms that are matched below. */
export const NAME_PATTERN = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;
const CA_NAME = /^URI:panoply:\/\/([a-z0-9-]+)$/;
const NODE_NAMES = /^URI:panoply:\/\/([a-z0-9-]+)\/(\d{1,4}), IP Address:([0-9A-Fa-f.:]+)$/;

/** "sha256:<64 hex digits>" over the certificate's DER. */
export const fingerprintOf = (der: Uint8Array): string =>
  `sha256:${createHash("sha256").update(der).digest("hex")}`;

export const revocationSet = (serials: Iterable<string>): ReadonlySet<string> =>
  new Set(Array.from(serials, serialText));

/** Reads the cluster's CA certificate. PAN_CA_UNREADABLE when it is not one that `pan ca init` made. */
export function trustAnchor(caPem: string): TrustAnchor {
  const certificate = parseCertificate(Buffer.from(caPem));
  const clusterName = CA_NAME.exec(certificate?.subjectAltName ?? "")?.[1];
  if (certificate === undefined || clusterName === undefined || !isOurAuthority(certificate)) {
    throw new PanError(
      "PAN_CA_UNREADABLE",
      "The CA certificate is not one of a Panoply cluster; use the CA that `pan ca init` made.",
    );
  }
  const digest = createHash("sha256").update(certificate.raw).digest();
  return {
    certificate,
    clusterName,
    clusterId: Uint8Array.from(digest.subarray(0, 8)),
    fingerprint: fingerprintOf(certificate.raw),
  };
}

const isOurAuthority = (certificate: X509Certificate): boolean =>
  certificate.ca &&
  certificate.publicKey.asymmetricKeyType === "ed25519" &&
  certificate.checkIssued(certificate) &&
  certificate.verify(certificate.publicKey);

/** Undefined for whatever OpenSSL cannot read; its exceptions say nothing that an operator could use. */
function parseCertificate(bytes: Uint8Array): X509Certificate | undefined {
  try {
    return new X509Certificate(bytes);
  } catch {
    return undefined;
  }
}

/** Judges one DER certificate. Costs one Ed25519 verification; never throws for what a peer sends. */
export function verifyCertificate(der: Uint8Array, terms: CertificateTerms): CertificateVerdict {
  const { ca, now, revoked } = terms;
  const certificate = parseCertificate(der);
  // OpenSSL would also read PEM, and ignore what follows a certificate
  if (certificate === undefined || !certificate.raw.equals(der)) {
    return { ok: false, reason: "malformed" };
  }
  if (!isIssuedBy(certificate, ca.certificate)) return { ok: false, reason: "foreign-ca" };
  const node = nodeOf(certificate);
  if (node === undefined || node.clusterName !== ca.clusterName) {
    return { ok: false, reason: "wrong-profile" };
  }
  for (const { validFromDate, validToDate } of [certificate, ca.certificate]) {
    if (now < validFromDate) return { ok: false, reason: "not-yet-valid" };
    if (now > validToDate) return { ok: false, reason: "expired" };
  }
  if (revoked.has(node.serial)) return { ok: false, reason: "revoked" };
  return { ok: true, node, publicKey: certificate.publicKey };
}

function isIssuedBy(certificate: X509Certificate, ca: X509Certificate): boolean {
  try {
    return certificate.checkIssued(ca) && certificate.verify(ca.publicKey);
  } catch {
    return false; // a certificate whose own fields OpenSSL cannot compare
  }
}

/** What the certificate says of its node, if it follows the profile. */
function nodeOf(certificate: X509Certificate): CertifiedNode | undefined {
  const name = /^CN=([^\n]+)$/.exec(certificate.subject)?.[1] ?? "";
  const [, clusterName = "", id = "", host = ""] =
    NODE_NAMES.exec(certificate.subjectAltName ?? "") ?? [];
  const address = parseIp(host);
  // for a leaf, node:crypto's keyUsage lists the *extended* key usages
  const usages = (certificate.keyUsage as readonly string[] | undefined) ?? [];
  if (
    !NAME_PATTERN.test(name) ||
    address === undefined ||
    Number(id) < 1 ||
    Number(id) > MAX_NODE_ID ||
    certificate.ca ||
    !usages.includes(SERVER_AUTH) ||
    !usages.includes(CLIENT_AUTH) ||
    certificate.publicKey.asymmetricKeyType !== "ed25519"
  ) {
    return undefined;
  }
  const serial = serialText(certificate.serialNumber);
  return { id: nodeId(Number(id)), name, address, serial, clusterName };
}
