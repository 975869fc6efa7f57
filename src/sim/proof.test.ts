// A2 in the simulation: a datagram convinces those whom the real one would convince, and nobody else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import type { Message } from "#wire/cluster/message.ts";
import { KeyRing } from "./key-ring.ts";
import { encodeCertificate, type Identity, open, type Packet, seal } from "./proof.ts";

const identity = (id: number, authority = 1): Identity => {
  const certificate = { authority, serial: id, id: nodeId(id), address: ip(`10.0.0.${id}`) };
  const cluster = new Uint8Array(8).fill(authority);
  return { certificate, certificateBytes: encodeCertificate(certificate), cluster, boot: 5n };
};
const ring = (keyId: number, secret: number): KeyRing => {
  const keys = new KeyRing();
  keys.install({ keyId, secret }, true);
  return keys;
};
const PROBE: Message = { type: "probe" };
const OFFER: Message = {
  type: "offer",
  request: 1,
  epoch: 1,
  config: { counter: 1, digest: "0000000000000001" },
  silent: nodeId(0),
};

function sent(message: Message, by: Identity, keys: KeyRing): Packet {
  const bytes = seal(by, keys, message, 1);
  assert.ok(bytes !== undefined);
  const { address: from } = by.certificate;
  return { bytes, from, decoded: undefined, provedBy: undefined, hostile: undefined };
}

const reason = (packet: Packet, keys: KeyRing, revoked: readonly number[] = []): string => {
  const opened = open(packet, identity(2), keys, new Set(revoked));
  return opened.ok ? "good" : opened.reason;
};

test("A2: a MAC convinces who holds its key, and only unchanged", () => {
  const packet = sent(PROBE, identity(1), ring(3, 77));
  assert.equal(reason(packet, ring(3, 77)), "good");
  assert.equal(reason({ ...packet, provedBy: undefined }, ring(3, 78)), "bad-mac");
  assert.equal(reason({ ...packet, provedBy: undefined }, ring(4, 77)), "unknown-key");
  for (let at = 0; at < packet.bytes.byteLength; at++) {
    const bytes = packet.bytes.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    const changed = { ...packet, bytes, decoded: undefined, provedBy: undefined };
    assert.notEqual(reason(changed, ring(3, 77)), "good", `byte ${at}`);
  }
});

test("A2: a signature convinces who knows the CA, unless the certificate is revoked or another's", () => {
  const keys = new KeyRing();
  const packet = sent(OFFER, identity(1), keys);
  assert.equal(reason(packet, keys), "good");
  assert.equal(reason(packet, keys, [1]), "bad-certificate");
  assert.equal(reason({ ...packet, from: ip("10.0.0.9") }, keys), "bad-certificate");
  assert.equal(reason(sent(OFFER, identity(1, 9), keys), keys), "foreign-cluster");
});

test("A2: without a key nothing is sent that needs one", () => {
  assert.equal(seal(identity(1), new KeyRing(), PROBE, 1), undefined);
});
