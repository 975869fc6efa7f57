// A19: which bundles are refused, with which code, before anything is used of them.
import assert from "node:assert/strict";
import { generateKeyPairSync } from "node:crypto";
import {
  chmodSync,
  mkdirSync,
  mkdtempSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, it } from "node:test";
import fc from "fast-check";
import { ip } from "#base/address.ts";
import { type ErrorCode, PanError } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import { createCa, issueNode } from "./authority.ts";
import { type NodeBundle, readBundle, signBundle, writeBundle } from "./bundle.ts";
import type { TrustAnchor } from "./identity.ts";
import { openBundle } from "./open-bundle.ts";

const ISSUED = new Date("2026-05-01T12:00:00Z");
const DAY_MS = 86_400_000;
const later = (ms: number): Date => new Date(ISSUED.getTime() + ms);

const refused =
  (code: ErrorCode, words: RegExp) =>
  (error: unknown): boolean => {
    assert.ok(error instanceof PanError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, words);
    assert.doesNotMatch(error.message, /PRIVATE KEY|MC4CAQ/);
    return true;
  };

describe("opening a node bundle", () => {
  let folder = "";
  let file = "";
  let ca: TrustAnchor;
  let bundle: NodeBundle;
  const terms = { now: later(DAY_MS), revoked: [] as string[] };

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "pt-id-"));
    file = path.join(folder, "m1.bundle");
    ca = await createCa(path.join(folder, "ca"), "demo", ISSUED);
    bundle = await issueNode(
      path.join(folder, "ca"),
      {
        name: "m1",
        id: nodeId(1),
        address: ip("fd77::11"),
        days: 30,
        vips: [ip("10.77.0.100")],
        routes: [{ destination: "10.0.0.0/8", via: ip("10.77.0.1") }],
        errorLog: "/var/log/panoply.log",
        revoked: ["00AB"],
      },
      ISSUED,
    );
    writeBundle(file, bundle);
  });
  after(() => rmSync(folder, { recursive: true, force: true }));

  it("A19: a good bundle gives the identity, and the file is private", () => {
    const identity = openBundle(file, { ...terms, expectedCa: ca.fingerprint });
    assert.equal(identity.clusterName, "demo");
    assert.equal(identity.name, "m1");
    assert.equal(identity.id, 1);
    assert.equal(identity.address, "fd77::11");
    assert.equal(identity.notAfter.toISOString(), "2026-05-31T12:00:00.000Z");
    assert.equal(identity.clusterId.length, 8);
    assert.match(identity.privateKeyPem, /^-----BEGIN PRIVATE KEY-----/);
    assert.deepEqual(identity.personality, {
      vips: ["10.77.0.100"],
      routes: [{ destination: "10.0.0.0/8", via: "10.77.0.1" }],
      errorLog: "/var/log/panoply.log",
      security: { revoked: ["ab"], minimumTls: "TLSv1.3" },
    });
    assert.equal(statSync(file).mode & 0o777, 0o600);
  });

  it("A19: no bundle replaces another one unasked", () => {
    assert.throws(() => writeBundle(file, bundle), refused("PAN_BUNDLE_EXISTS", /--out/));
    writeBundle(file, bundle, { replace: true });
    assert.deepEqual(readBundle(file), bundle);
    assert.throws(
      () => writeBundle(path.join(folder, "none", "x"), bundle),
      refused("PAN_BUNDLE_UNREADABLE", /ENOENT/),
    );
  });

  it("A19: a file in which any byte was changed, added or lost is refused", () => {
    const good = readFileSync(file);
    const changed = path.join(folder, "changed.bundle");
    const tryBytes = (bytes: Uint8Array): void => {
      writeFileSync(changed, bytes, { mode: 0o600 });
      assert.throws(
        () => openBundle(changed, terms),
        (error) =>
          error instanceof PanError &&
          ["PAN_BUNDLE_UNREADABLE", "PAN_BUNDLE_SIGNATURE"].includes(error.code),
      );
    };
    const flip = fc.tuple(fc.nat(good.length - 1), fc.integer({ min: 1, max: 255 }));
    fc.assert(
      fc.property(flip, ([at, mask]) => {
        const bytes = Uint8Array.from(good);
        bytes[at] = (bytes[at] ?? 0) ^ mask;
        tryBytes(bytes);
      }),
      { numRuns: 600 },
    );
    tryBytes(good.subarray(0, good.length - 1));
    tryBytes(Buffer.concat([good, Buffer.from("\n")]));
    tryBytes(new Uint8Array());
  });

  it("A19: each field is covered by the signature", () => {
    const changed = path.join(folder, "field.bundle");
    const { content } = bundle;
    const variants: Partial<typeof content>[] = [
      { clusterName: "other" },
      { node: { ...content.node, id: 2 } },
      { node: { ...content.node, name: "m2" } },
      { node: { ...content.node, address: "10.77.0.12" } },
      { vips: [] },
      { routes: [] },
      { errorLog: "stderr" },
      { security: { ...content.security, revoked: [] } },
      { issuedAt: "2027-01-01T00:00:00.000Z" },
      { privateKey: content.privateKey.replace("\n", "\n\n") },
    ];
    for (const variant of variants) {
      writeBundle(changed, { ...bundle, content: { ...content, ...variant } }, { replace: true });
      assert.throws(
        () => openBundle(changed, terms),
        refused("PAN_BUNDLE_SIGNATURE", /signature.*wrong.*pan node renew/s),
        JSON.stringify(variant),
      );
    }
  });

  it("A19: a bundle of another CA is refused where the configuration names ours", async () => {
    const otherFolder = path.join(folder, "other-ca");
    await createCa(otherFolder, "demo", ISSUED);
    const request = { name: "m1", id: nodeId(1), address: ip("fd77::11"), days: 30 };
    const foreign = path.join(folder, "foreign.bundle");
    const other = await issueNode(otherFolder, request, ISSUED);
    writeBundle(foreign, other);
    assert.throws(
      () => openBundle(foreign, { ...terms, expectedCa: ca.fingerprint }),
      refused("PAN_BUNDLE_FOREIGN", /cluster\.ca/),
    );
    // our CA certificate around the other's content: the signature tells
    const grafted = {
      ...other,
      content: { ...other.content, caCertificate: bundle.content.caCertificate },
    };
    writeBundle(foreign, grafted, { replace: true });
    assert.throws(
      () => openBundle(foreign, { ...terms, expectedCa: ca.fingerprint }),
      refused("PAN_BUNDLE_SIGNATURE", /signature/),
    );
  });

  it("A19: what the CA itself signed is refused when it contradicts its certificate or is unreadable", () => {
    const caKey = readFileSync(path.join(folder, "ca", "ca.key"), "utf8");
    const stranger = generateKeyPairSync("ed25519").privateKey;
    const strange = stranger.export({ type: "pkcs8", format: "pem" }) as string;
    const contrived = path.join(folder, "contrived.bundle");
    const tryContent = (change: Partial<NodeBundle["content"]>, code: ErrorCode): void => {
      const signed = signBundle({ ...bundle.content, ...change }, caKey);
      writeBundle(contrived, signed, { replace: true });
      assert.throws(() => openBundle(contrived, terms), refused(code, /pan node renew/));
    };
    tryContent({ privateKey: strange }, "PAN_BUNDLE_SIGNATURE");
    tryContent({ node: { ...bundle.content.node, id: 2 } }, "PAN_BUNDLE_SIGNATURE");
    tryContent({ certificate: bundle.content.caCertificate }, "PAN_BUNDLE_SIGNATURE");
    tryContent({ privateKey: "no key" }, "PAN_BUNDLE_UNREADABLE");
    tryContent({ vips: ["10.77.0"] }, "PAN_BUNDLE_UNREADABLE");
  });

  it("A19: expired and not yet valid are told apart", () => {
    const at = (now: Date): unknown => openBundle(file, { ...terms, now });
    at(later(30 * DAY_MS));
    assert.throws(() => at(later(30 * DAY_MS + 1)), refused("PAN_BUNDLE_EXPIRED", /renew/));
    at(later(-3_600_000));
    assert.throws(() => at(later(-3_600_001)), refused("PAN_BUNDLE_NOT_YET_VALID", /clock/));
  });

  it("A2: revoked by the configuration, in whatever spelling of the serial number", () => {
    const { serial } = openBundle(file, terms);
    for (const text of [serial, serial.toUpperCase(), `000${serial}`]) {
      assert.throws(
        () => openBundle(file, { ...terms, revoked: ["01", text] }),
        refused("PAN_BUNDLE_REVOKED", /revoked/),
      );
    }
  });

  it("A19: a file that others can read, a missing one and a folder are refused", () => {
    for (const mode of [0o640, 0o604, 0o644, 0o660, 0o777]) {
      chmodSync(file, mode);
      assert.throws(() => openBundle(file, terms), refused("PAN_BUNDLE_PERMISSIONS", /chmod 0600/));
    }
    chmodSync(file, 0o600);
    const missing = path.join(folder, "missing");
    assert.throws(
      () => openBundle(missing, terms),
      refused("PAN_BUNDLE_UNREADABLE", /no such file/),
    );
    const directory = path.join(folder, "directory");
    mkdirSync(directory, { mode: 0o700 });
    assert.throws(
      () => openBundle(directory, terms),
      refused("PAN_BUNDLE_UNREADABLE", /regular file/),
    );
  });
});
