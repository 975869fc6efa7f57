// The cluster's CA: a folder on the operator's machine with a key, a certificate and the list of what
// was issued. Nodes never see the key. Only this file needs a package that can write certificates.
import "reflect-metadata"; // @peculiar/x509 needs it and does not load it
import {
  createPrivateKey,
  KeyObject,
  randomBytes,
  webcrypto,
  X509Certificate as Parsed,
} from "node:crypto";
import { appendFileSync, existsSync, mkdirSync } from "node:fs";
import path from "node:path";
import * as x509 from "@peculiar/x509";
import { type IpAddress, parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import type { NodeId } from "#base/ids.ts";
import { serialText } from "#base/serial-number.ts";
import { type NodeBundle, signBundle } from "./bundle.ts";
import { NAME_PATTERN, trustAnchor } from "./certificate.ts";
import type { StaticRoute, TrustAnchor } from "./identity.ts";
import { readPrivateFile, writePrivateFile } from "./private-file.ts";

const ED25519 = { name: "Ed25519" };
const HOUR_MS = 3_600_000;
const DAY_MS = 24 * HOUR_MS;
const CA_DAYS = 3653;
/** Certificates begin in the past, so that nodes whose clocks are a little behind accept them. */
const BACKDATED_MS = HOUR_MS;

const CERTIFICATE_FILE = "ca.pem";
const KEY_FILE = "ca.key";
const ISSUED_FILE = "issued.jsonl";

/** One line of the list of issued certificates; what `pan node revoke` goes by. */
export interface IssuedCertificate {
  readonly serial: string;
  readonly name: string;
  readonly id: number;
  readonly address: string;
  /** ISO 8601. */
  readonly notAfter: string;
}

export interface NodeRequest {
  readonly name: string;
  readonly id: NodeId;
  readonly address: IpAddress;
  /** How long the certificate is valid. */
  readonly days: number;
  readonly vips?: readonly IpAddress[];
  readonly routes?: readonly StaticRoute[];
  /** An absolute path, or "stderr" (default). */
  readonly errorLog?: string;
  /** Serial numbers that are revoked at this time. */
  readonly revoked?: readonly string[];
}

interface KeyPair {
  readonly privateKey: webcrypto.CryptoKey;
  readonly publicKey: webcrypto.CryptoKey;
}

async function newKeyPair(): Promise<KeyPair> {
  const pair = await webcrypto.subtle.generateKey(ED25519, true, ["sign", "verify"]);
  return pair as webcrypto.CryptoKeyPair;
}

const keyPem = (key: webcrypto.CryptoKey): string =>
  KeyObject.from(key).export({ type: "pkcs8", format: "pem" }) as string;

/** 127 random bits, positive and never zero (RFC 5280 section 4.1.2.2). */
function newSerial(): string {
  const bytes = randomBytes(16);
  bytes[0] = ((bytes[0] ?? 0) & 0x7f) | 0x40;
  return bytes.toString("hex");
}

function requireName(what: string, name: string): void {
  if (NAME_PATTERN.test(name)) return;
  throw new PanError(
    "PAN_CONFIG_INVALID",
    `The ${what} "${name}" is not valid; use 1 to 63 lower-case letters, digits and inner hyphens.`,
  );
}

/**
 * Makes the CA of a cluster in the folder (0700; files 0600). PAN_CA_EXISTS when there is one already:
 * a second one would cut off every node of the first.
 */
export async function createCa(
  folder: string,
  clusterName: string,
  now: Date = new Date(),
): Promise<TrustAnchor> {
  requireName("cluster name", clusterName);
  if ([KEY_FILE, CERTIFICATE_FILE].some((file) => existsSync(path.join(folder, file)))) {
    throw new PanError(
      "PAN_CA_EXISTS",
      `${folder} already holds a CA; use it, or choose another folder with --folder.`,
    );
  }
  const keys = await newKeyPair();
  const certificate = await x509.X509CertificateGenerator.createSelfSigned(
    {
      serialNumber: newSerial(),
      name: [{ CN: [`${clusterName} CA`] }],
      notBefore: new Date(now.getTime() - BACKDATED_MS),
      notAfter: new Date(now.getTime() + CA_DAYS * DAY_MS),
      signingAlgorithm: ED25519,
      keys,
      extensions: [
        new x509.BasicConstraintsExtension(true, 0, true),
        new x509.KeyUsagesExtension(
          x509.KeyUsageFlags.keyCertSign | x509.KeyUsageFlags.cRLSign,
          true,
        ),
        new x509.SubjectAlternativeNameExtension([
          { type: "url", value: `panoply://${clusterName}` },
        ]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
      ],
    },
    webcrypto,
  );
  const caPem = `${certificate.toString("pem")}\n`;
  writeCa(folder, keyPem(keys.privateKey), caPem);
  return trustAnchor(caPem);
}

function writeCa(folder: string, key: string, certificate: string): void {
  try {
    mkdirSync(folder, { recursive: true, mode: 0o700 });
    writePrivateFile(path.join(folder, KEY_FILE), key, { replace: false });
    writePrivateFile(path.join(folder, CERTIFICATE_FILE), certificate, { replace: false });
  } catch (cause) {
    const code = String((cause as NodeJS.ErrnoException).code);
    const message = `Cannot write the CA to ${folder} (${code}); choose a folder that can be written.`;
    throw new PanError("PAN_CA_UNREADABLE", message, { cause });
  }
}

const unreadable = {
  code: "PAN_CA_UNREADABLE",
  remedy: "Name the folder of the cluster's CA with --ca, or make one with `pan ca init`.",
} as const;

/** The public part of the CA in the folder. */
export const readCa = (folder: string): TrustAnchor =>
  trustAnchor(readPrivateFile(path.join(folder, CERTIFICATE_FILE), unreadable));

function readCaKey(folder: string): KeyObject {
  const pem = readPrivateFile(path.join(folder, KEY_FILE), unreadable);
  try {
    return createPrivateKey(pem);
  } catch (cause) {
    const message = `${path.join(folder, KEY_FILE)} holds no private key. ${unreadable.remedy}`;
    throw new PanError("PAN_CA_UNREADABLE", message, { cause });
  }
}

/** Everything that this CA has issued, oldest first. */
export function issuedCertificates(folder: string): IssuedCertificate[] {
  const file = path.join(folder, ISSUED_FILE);
  if (!existsSync(file)) return [];
  const lines = readPrivateFile(file, unreadable).split("\n");
  try {
    return lines.filter((line) => line !== "").map((line) => JSON.parse(line) as IssuedCertificate);
  } catch (cause) {
    const message = `${file} is damaged; restore it from a backup: revoking goes by it.`;
    throw new PanError("PAN_CA_UNREADABLE", message, { cause });
  }
}

/** Issues a certificate for the node and signs the bundle that carries it (A19). */
export async function issueNode(
  caFolder: string,
  request: NodeRequest,
  now: Date = new Date(),
): Promise<NodeBundle> {
  requireName("node name", request.name);
  const anchor = readCa(caFolder);
  const caKey = readCaKey(caFolder);
  const notAfter = expiry(anchor, request.days, now);
  const personality = {
    vips: [...(request.vips ?? [])],
    routes: (request.routes ?? []).map(requireRoute),
    errorLog: requireErrorLog(request.errorLog ?? "stderr"),
    security: {
      revoked: Array.from(request.revoked ?? [], serialText),
      minimumTls: "TLSv1.3" as const,
    },
  };
  const keys = await newKeyPair();
  const certificate = await nodeCertificate({ anchor, caKey, keys, request, now, notAfter });
  const { name, id, address } = request;
  const issued: IssuedCertificate = {
    serial: serialText(certificate.serialNumber),
    name,
    id,
    address,
    notAfter: notAfter.toISOString(),
  };
  // on the list before anybody has the certificate: what is not listed cannot be revoked
  appendFileSync(path.join(caFolder, ISSUED_FILE), `${JSON.stringify(issued)}\n`, { mode: 0o600 });
  return signBundle(
    {
      clusterName: anchor.clusterName,
      caCertificate: anchor.certificate.toString(),
      node: { id, name, address },
      certificate: new Parsed(Buffer.from(certificate.rawData)).toString(),
      privateKey: keyPem(keys.privateKey),
      ...personality,
      issuedAt: now.toISOString(),
    },
    caKey,
  );
}

function expiry(anchor: TrustAnchor, days: number, now: Date): Date {
  const notAfter = new Date(now.getTime() + days * DAY_MS);
  const end = anchor.certificate.validToDate;
  if (Number.isInteger(days) && days >= 1 && notAfter <= end) return notAfter;
  const most = Math.floor((end.getTime() - now.getTime()) / DAY_MS);
  throw new PanError(
    "PAN_CONFLICT",
    `A certificate cannot be valid for ${days} days: use 1 to ${most}, the CA ends then.`,
  );
}

function requireRoute(route: StaticRoute): StaticRoute {
  const [, host = "", length = ""] = /^(.+)\/(\d{1,3})$/.exec(route.destination) ?? [];
  const address = parseIp(host);
  const most = address?.includes(":") === true ? 128 : 32;
  const sameFamily = address?.includes(":") === route.via.includes(":");
  if (address !== undefined && length !== "" && Number(length) <= most && sameFamily) return route;
  throw new PanError(
    "PAN_CONFLICT",
    `The route "${route.destination} via ${route.via}" is not valid; ` +
      'write it like "10.0.0.0/8 via 10.77.0.1".',
  );
}

function requireErrorLog(errorLog: string): string {
  if (errorLog === "stderr" || path.isAbsolute(errorLog)) return errorLog;
  throw new PanError(
    "PAN_CONFLICT",
    `The error log "${errorLog}" is not valid; use an absolute path, or stderr.`,
  );
}

interface Issue {
  readonly anchor: TrustAnchor;
  readonly caKey: KeyObject;
  readonly keys: KeyPair;
  readonly request: NodeRequest;
  readonly now: Date;
  readonly notAfter: Date;
}

async function nodeCertificate(issue: Issue): Promise<x509.X509Certificate> {
  const { anchor, caKey, keys, request, now, notAfter } = issue;
  const ca = new x509.X509Certificate(Uint8Array.from(anchor.certificate.raw));
  return x509.X509CertificateGenerator.create(
    {
      serialNumber: newSerial(),
      subject: [{ CN: [request.name] }],
      issuer: ca.subjectName,
      notBefore: new Date(now.getTime() - BACKDATED_MS),
      notAfter,
      signingAlgorithm: ED25519,
      publicKey: keys.publicKey,
      signingKey: caKey.toCryptoKey(ED25519, false, ["sign"]),
      extensions: [
        new x509.BasicConstraintsExtension(false, undefined, true),
        new x509.KeyUsagesExtension(x509.KeyUsageFlags.digitalSignature, true),
        new x509.ExtendedKeyUsageExtension([
          x509.ExtendedKeyUsage.serverAuth,
          x509.ExtendedKeyUsage.clientAuth,
        ]),
        new x509.SubjectAlternativeNameExtension([
          { type: "url", value: `panoply://${anchor.clusterName}/${request.id}` },
          { type: "ip", value: request.address },
        ]),
        await x509.SubjectKeyIdentifierExtension.create(keys.publicKey),
        await x509.AuthorityKeyIdentifierExtension.create(ca, false, webcrypto),
      ],
    },
    webcrypto,
  );
}
