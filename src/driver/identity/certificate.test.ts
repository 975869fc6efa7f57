// A2: which certificates make a node of this cluster, and which do not.
import "reflect-metadata"; // before @peculiar/x509
import assert from "node:assert/strict";
import { createPrivateKey, sign, verify, webcrypto, X509Certificate } from "node:crypto";
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import * as x509 from "@peculiar/x509";
import fc from "fast-check";
import { ip } from "#base/address.ts";
import { type ErrorCode, PanError } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import { createCa, issuedCertificates, issueNode, type NodeRequest, readCa } from "./authority.ts";
import { fingerprintOf, revocationSet, trustAnchor, verifyCertificate } from "./certificate.ts";
import type { CertificateTerms, TrustAnchor } from "./identity.ts";

const ISSUED = new Date("2026-05-01T12:00:00Z");
const DAY_MS = 86_400_000;
const later = (ms: number): Date => new Date(ISSUED.getTime() + ms);
const derOf = (pem: string): Uint8Array => Uint8Array.from(new X509Certificate(pem).raw);
const hasCode = (code: ErrorCode, words: RegExp) => (error: unknown) =>
  error instanceof PanError && error.code === code && words.test(error.message);

const M1: NodeRequest = { name: "m1", id: nodeId(7), address: ip("10.77.0.11"), days: 30 };

describe("certificates of a cluster", () => {
  let root = "";
  let folder = "";
  let ca: TrustAnchor;
  let terms: CertificateTerms;

  before(async () => {
    root = mkdtempSync(path.join(tmpdir(), "pt-id-"));
    folder = path.join(root, "ca");
    ca = await createCa(folder, "demo", ISSUED);
    terms = { ca, now: later(DAY_MS), revoked: revocationSet([]) };
  });
  after(() => rmSync(root, { recursive: true, force: true }));

  const issueDer = async (request: NodeRequest = M1): Promise<Uint8Array> =>
    derOf((await issueNode(folder, request, ISSUED)).content.certificate);

  it("A2: a certificate says who its node is, and its key verifies what the node signs", async () => {
    const { content } = await issueNode(folder, M1, ISSUED);
    const verdict = verifyCertificate(derOf(content.certificate), terms);
    assert.ok(verdict.ok);
    const { serial, ...node } = verdict.node;
    assert.deepEqual(node, { id: 7, name: "m1", address: "10.77.0.11", clusterName: "demo" });
    assert.match(serial, /^[4-7][0-9a-f]{31}$/);
    const message = Buffer.from("join");
    const signature = sign(null, message, createPrivateKey(content.privateKey));
    assert.ok(verify(null, message, verdict.publicKey, signature));
  });

  it("A2: IPv6 addresses come out in canonical form", async () => {
    const verdict = verifyCertificate(await issueDer({ ...M1, address: ip("fd77::11") }), terms);
    assert.ok(verdict.ok);
    assert.equal(verdict.node.address, "fd77::11");
  });

  it("A2: the profile is X.509 v3, Ed25519, EKU client and server, SAN URI and IP; CA with pathlen 0", async () => {
    const leaf = new x509.X509Certificate(Buffer.from(await issueDer()));
    const usage = leaf.getExtension(x509.ExtendedKeyUsageExtension);
    assert.deepEqual(Array.from(usage?.usages ?? []), ["1.3.6.1.5.5.7.3.1", "1.3.6.1.5.5.7.3.2"]);
    assert.equal(leaf.subject, "CN=m1");
    const names = leaf.getExtension(x509.SubjectAlternativeNameExtension)?.names.items;
    assert.deepEqual(
      names?.map(({ type, value }) => [type, value]),
      [
        ["url", "panoply://demo/7"],
        ["ip", "10.77.0.11"],
      ],
    );
    const authority = new x509.X509Certificate(Buffer.from(ca.certificate.raw));
    const constraints = authority.getExtension(x509.BasicConstraintsExtension);
    assert.equal(constraints?.ca, true);
    assert.equal(constraints.pathLength, 0);
    assert.equal(constraints.critical, true);
  });

  it("A2: refusals are told apart: expired, not yet valid, revoked, another CA", async () => {
    const der = await issueDer();
    const reasonOf = (changed: Partial<CertificateTerms>): string => {
      const verdict = verifyCertificate(der, { ...terms, ...changed });
      return verdict.ok ? "ok" : verdict.reason;
    };
    assert.equal(reasonOf({ now: later(30 * DAY_MS) }), "ok");
    assert.equal(reasonOf({ now: later(30 * DAY_MS + 1) }), "expired");
    assert.equal(reasonOf({ now: later(-3_600_001) }), "not-yet-valid");
    const serial = new X509Certificate(der).serialNumber;
    assert.equal(reasonOf({ revoked: revocationSet([`0${serial}`]) }), "revoked");
    const other = await createCa(path.join(root, "other"), "demo", ISSUED);
    assert.equal(reasonOf({ ca: other }), "foreign-ca");
    assert.equal(reasonOf({}), "ok");
  });

  it("A2: bytes that are not exactly one certificate are malformed, and nothing throws", async () => {
    const der = await issueDer();
    const pem = Buffer.from(new X509Certificate(der).toString());
    const longer = Uint8Array.from([...der, 0]);
    for (const bytes of [new Uint8Array(), pem, longer, der.subarray(0, -1)]) {
      assert.deepEqual(verifyCertificate(bytes, terms), { ok: false, reason: "malformed" });
    }
    const flip = fc.tuple(fc.nat(der.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(flip, ([at, mask]) => {
        const bytes = Uint8Array.from(der);
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        return !verifyCertificate(bytes, terms).ok;
      }),
      { numRuns: 400 },
    );
    fc.assert(fc.property(fc.uint8Array(), (bytes) => !verifyCertificate(bytes, terms).ok));
  });

  it("A2: what the CA signed for another purpose is no node's certificate", async () => {
    const make = async (extensions: x509.Extension[], name = "CN=m1"): Promise<string> => {
      const keys = await webcrypto.subtle.generateKey("Ed25519", true, ["sign", "verify"]);
      const caPem = readFileSync(path.join(folder, "ca.key"), "utf8");
      const certificate = await x509.X509CertificateGenerator.create(
        {
          subject: name,
          issuer: ca.certificate.subject,
          notBefore: ISSUED,
          notAfter: later(2 * DAY_MS),
          signingAlgorithm: { name: "Ed25519" },
          publicKey: (keys as webcrypto.CryptoKeyPair).publicKey,
          signingKey: createPrivateKey(caPem).toCryptoKey("Ed25519", false, ["sign"]),
          extensions,
        },
        webcrypto,
      );
      const verdict = verifyCertificate(new Uint8Array(certificate.rawData), terms);
      return verdict.ok ? "ok" : verdict.reason;
    };
    const { serverAuth, clientAuth } = x509.ExtendedKeyUsage;
    const usage = new x509.ExtendedKeyUsageExtension([serverAuth, clientAuth]);
    const names = (uri: string, address = "10.77.0.11"): x509.Extension =>
      new x509.SubjectAlternativeNameExtension([
        { type: "url", value: uri },
        { type: "ip", value: address },
      ]);
    const good = names("panoply://demo/7");
    assert.equal(await make([usage, good]), "ok");
    assert.equal(await make([good]), "wrong-profile");
    assert.equal(
      await make([new x509.ExtendedKeyUsageExtension([serverAuth]), good]),
      "wrong-profile",
    );
    assert.equal(await make([usage]), "wrong-profile");
    assert.equal(await make([usage, names("panoply://other/7")]), "wrong-profile");
    assert.equal(await make([usage, names("panoply://demo/0")]), "wrong-profile");
    assert.equal(await make([usage, names("panoply://demo/4096")]), "wrong-profile");
    assert.equal(
      await make([usage, names("panoply://demo/7, IP Address:10.0.0.1")]),
      "wrong-profile",
    );
    assert.equal(await make([usage, good], "CN=m1,O=x"), "wrong-profile");
    assert.equal(await make([usage, good], "CN=M 1"), "wrong-profile");
    assert.equal(
      await make([usage, good, new x509.BasicConstraintsExtension(true, 0, true)]),
      "wrong-profile",
    );
  });

  it("A2: the CA is made once, in private files, and names its cluster", async () => {
    assert.equal(statSync(folder).mode & 0o777, 0o700);
    for (const file of ["ca.key", "ca.pem", "issued.jsonl"]) {
      assert.equal(statSync(path.join(folder, file)).mode & 0o777, 0o600, file);
    }
    assert.equal(readCa(folder).fingerprint, fingerprintOf(ca.certificate.raw));
    assert.equal(ca.clusterName, "demo");
    await assert.rejects(createCa(folder, "demo"), hasCode("PAN_CA_EXISTS", /--folder/));
    await assert.rejects(
      createCa(path.join(root, "bad"), "Demo!"),
      hasCode("PAN_CONFIG_INVALID", /lower-case/),
    );
  });

  it("A2: every certificate is on the CA's list, with the serial number that it carries", async () => {
    const before = issuedCertificates(folder).length;
    const der = await issueDer({ ...M1, name: "m9", id: nodeId(9) });
    const list = issuedCertificates(folder);
    assert.equal(list.length, before + 1);
    assert.deepEqual(list.at(-1), {
      serial: new X509Certificate(der).serialNumber.toLowerCase(),
      name: "m9",
      id: 9,
      address: "10.77.0.11",
      notAfter: "2026-05-31T12:00:00.000Z",
    });
  });

  it("A19: what cannot be issued is refused, and nothing is put on the list", async () => {
    const before = issuedCertificates(folder).length;
    const refusedRequest = async (request: Partial<NodeRequest>, code: ErrorCode): Promise<void> =>
      assert.rejects(issueNode(folder, { ...M1, ...request }, ISSUED), hasCode(code, /use|write/));
    await refusedRequest({ days: 0 }, "PAN_CONFLICT");
    await refusedRequest({ days: 4000 }, "PAN_CONFLICT");
    await refusedRequest({ name: "a,b" }, "PAN_CONFIG_INVALID");
    await refusedRequest({ errorLog: "log" }, "PAN_CONFLICT");
    for (const destination of ["10.0.0.0", "10.0.0.0/33", "fd00::/8", "x/8"]) {
      const route = { destination, via: ip("10.77.0.1") };
      await refusedRequest({ routes: [route] }, "PAN_CONFLICT");
    }
    assert.equal(issuedCertificates(folder).length, before);
  });

  it("A19: a missing, foreign or damaged CA is refused with the remedy", async () => {
    const absent = path.join(root, "absent");
    await assert.rejects(issueNode(absent, M1), hasCode("PAN_CA_UNREADABLE", /pan ca init/));
    assert.throws(() => trustAnchor("nonsense"), hasCode("PAN_CA_UNREADABLE", /pan ca init/));
    const leaf = (await issueNode(folder, M1, ISSUED)).content.certificate;
    assert.throws(() => trustAnchor(leaf), hasCode("PAN_CA_UNREADABLE", /pan ca init/));
    const damaged = path.join(root, "damaged");
    await createCa(damaged, "demo", ISSUED);
    writeFileSync(path.join(damaged, "ca.key"), "no key", { mode: 0o600 });
    await assert.rejects(
      issueNode(damaged, M1, ISSUED),
      hasCode("PAN_CA_UNREADABLE", /no private key/),
    );
    writeFileSync(path.join(damaged, "issued.jsonl"), "{", { mode: 0o600 });
    assert.throws(() => issuedCertificates(damaged), hasCode("PAN_CA_UNREADABLE", /damaged/));
  });
});
