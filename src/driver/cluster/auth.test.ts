// A2: what proves its origin passes, and everything else is dropped under its own reason.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { NO_TABLES, nodeId } from "#base/ids.ts";
import type { Message } from "#wire/cluster/message.ts";
import { createCa, issueNode } from "../identity/authority.ts";
import type { NodeBundle } from "../identity/bundle.ts";
import { ClusterAuth } from "./auth.ts";
import { CHECKS_PER_SECOND } from "./certificate-cache.ts";

const [ADDRESS_1, ADDRESS_2] = [ip("10.0.0.1"), ip("10.0.0.2")];
const config = { counter: 1, digest: "0000000000000001" };
const REQUEST: Message = {
  type: "join-request",
  request: 1,
  epoch: 0,
  config,
  mac: mac("02:00:00:00:00:01"),
};
const KEEPALIVE: Message = {
  type: "member-keepalive",
  sequence: 1,
  master: nodeId(2),
  config,
  tables: NO_TABLES,
  perInterval: 5,
  mac: mac("02:00:00:00:00:01"),
};
const KEY = new Uint8Array(32).fill(1);

let folder: string;
let bundles: NodeBundle[];
let strange: NodeBundle;

before(async () => {
  folder = mkdtempSync(path.join(tmpdir(), "pt-auth-"));
  await createCa(path.join(folder, "ca"), "test");
  await createCa(path.join(folder, "other"), "test");
  const issue = (ca: string, id: number): Promise<NodeBundle> =>
    issueNode(path.join(folder, ca), {
      name: `n${id}`,
      id: nodeId(id),
      address: ip(`10.0.0.${id}`),
      days: 1,
    });
  bundles = [await issue("ca", 1), await issue("ca", 2)];
  strange = await issue("other", 1);
});
after(() => rmSync(folder, { recursive: true }));

function authOf(bundle: NodeBundle | undefined, revoked: readonly string[] = []): ClusterAuth {
  assert.ok(bundle !== undefined && bundles[0] !== undefined);
  const { certificate, privateKey, node } = bundle.content;
  const { caCertificate } = bundles[0].content;
  return new ClusterAuth({
    id: nodeId(node.id),
    boot: BigInt(node.id),
    ...{ certificate, privateKey, caCertificate, revoked },
  });
}

function sealed(auth: ClusterAuth, message: Message): Uint8Array {
  const bytes = auth.seal(message);
  assert.ok(bytes !== undefined);
  return bytes;
}

/** The bytes with one of them changed; negative positions count from the end. */
function changed(bytes: Uint8Array, at: number): Uint8Array {
  const copy = Uint8Array.from(bytes);
  const index = at < 0 ? copy.byteLength + at : at;
  copy[index] = (copy[index] ?? 0) ^ 1;
  return copy;
}

function reasonOf(opened: ReturnType<ClusterAuth["open"]>): string {
  return opened.ok ? "passed" : opened.reason;
}

test("A2: a signed message passes on its certificate alone", () => {
  const opened = authOf(bundles[1]).open(sealed(authOf(bundles[0]), REQUEST), ADDRESS_1, 0);
  assert.ok(opened.ok);
  assert.deepEqual(opened.message, REQUEST);
  assert.equal(opened.header.sender, 1);
});

test("A2: counters rise with each message", () => {
  const [sender, receiver] = [authOf(bundles[0]), authOf(bundles[1])];
  const counters = [1, 2, 3].map(() => {
    const opened = receiver.open(sealed(sender, REQUEST), ADDRESS_1, 0);
    return opened.ok ? opened.header.counter : undefined;
  });
  assert.deepEqual(counters, [1, 2, 3]);
});

test("A2: a changed, moved or foreign signed message is dropped", () => {
  const receiver = authOf(bundles[1]);
  const bytes = sealed(authOf(bundles[0]), REQUEST);
  assert.equal(reasonOf(receiver.open(changed(bytes, 37), ADDRESS_1, 0)), "bad-signature");
  assert.equal(reasonOf(receiver.open(changed(bytes, -1), ADDRESS_1, 0)), "bad-signature");
  assert.equal(reasonOf(receiver.open(changed(bytes, 9), ADDRESS_1, 0)), "foreign-cluster");
  assert.equal(reasonOf(receiver.open(bytes, ADDRESS_2, 0)), "wrong-certificate");
  assert.equal(reasonOf(receiver.open(changed(bytes, 32), ADDRESS_1, 0)), "malformed");
});

test("A2: a node of another CA, and a revoked one, are told why they may not join", () => {
  const foreign = authOf(bundles[1]).open(sealed(authOf(strange), REQUEST), ADDRESS_1, 0);
  assert.ok(!foreign.ok && foreign.reason === "bad-certificate");
  assert.equal(foreign.stranger?.reason, "certificate");
  const serial = new X509Certificate(bundles[0]?.content.certificate ?? "").serialNumber;
  const receiver = authOf(bundles[1]);
  const bytes = sealed(authOf(bundles[0]), REQUEST);
  assert.equal(reasonOf(receiver.open(bytes, ADDRESS_1, 0)), "passed");
  receiver.revoked = [serial];
  const revoked = receiver.open(bytes, ADDRESS_1, 0);
  assert.ok(!revoked.ok && revoked.reason === "bad-certificate");
  assert.equal(revoked.stranger?.reason, "revoked");
});

test("A2: nobody but the sender hears its own broadcast as its own", () => {
  const sender = authOf(bundles[0]);
  assert.equal(reasonOf(sender.open(sealed(sender, REQUEST), ADDRESS_1, 0)), "own");
});

test("A2: a MAC convinces whoever has the key, and nobody else", () => {
  const [sender, receiver] = [authOf(bundles[0]), authOf(bundles[1])];
  assert.equal(sender.seal(KEEPALIVE), undefined, "no key yet");
  sender.keys.install(3, KEY, true);
  const bytes = sealed(sender, KEEPALIVE);
  assert.equal(reasonOf(receiver.open(bytes, ADDRESS_1, 0)), "unknown-key");
  receiver.keys.install(3, new Uint8Array(32).fill(2), true);
  assert.equal(reasonOf(receiver.open(bytes, ADDRESS_1, 0)), "bad-mac");
  receiver.keys.install(3, KEY, true);
  assert.equal(reasonOf(receiver.open(bytes, ADDRESS_1, 0)), "passed");
  assert.equal(reasonOf(receiver.open(changed(bytes, 40), ADDRESS_1, 0)), "bad-mac");
});

test("A2: a member goes over to the key that its master has begun to use", () => {
  const [master, member] = [authOf(bundles[1]), authOf(bundles[0])];
  for (const auth of [master, member]) auth.keys.install(1, KEY, true);
  for (const auth of [master, member]) auth.keys.install(2, new Uint8Array(32).fill(2), false);
  assert.equal(member.keys.active, 1);
  master.keys.install(2, new Uint8Array(32).fill(2), true);
  const keepalive: Message = {
    type: "master-keepalive",
    sequence: 1,
    epoch: 1,
    config,
    tables: NO_TABLES,
    detectionMs: 200,
    perInterval: 5,
    roster: 1,
    isMost: true,
    memberCount: 0,
    offset: 0,
    members: [],
  };
  assert.ok(member.open(sealed(master, keepalive), ADDRESS_2, 0).ok);
  member.followMaster();
  assert.equal(member.keys.active, 2);
});

test("A2: a flood of new certificates is bounded, and known ones pass all the same", () => {
  const receiver = authOf(bundles[1]);
  const good = sealed(authOf(bundles[0]), REQUEST);
  assert.equal(reasonOf(receiver.open(good, ADDRESS_1, 0)), "passed");
  const certificateAt = 36 + 26 + 2;
  const reasons = Array.from({ length: 2 * CHECKS_PER_SECOND }, (_, index) => {
    const bytes = Uint8Array.from(good);
    new DataView(bytes.buffer).setUint32(certificateAt + 100, index);
    return reasonOf(receiver.open(bytes, ADDRESS_1, 1));
  });
  assert.equal(
    reasons.filter((reason) => reason === "bad-certificate").length,
    CHECKS_PER_SECOND - 1,
  );
  assert.equal(reasons.at(-1), "too-many-strangers");
  assert.equal(reasonOf(receiver.open(good, ADDRESS_1, 2)), "passed");
});
