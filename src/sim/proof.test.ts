// A2 in the simulation: a datagram convinces those whom the real one would convince, and nobody else.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, type MacAddress } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import type { Message } from "#wire/cluster/message.ts";
import { KeyRing } from "./key-ring.ts";
import { CODED, Packet } from "./packet.ts";
import { open, seal } from "./proof.ts";
import { encodeCertificate, type Identity } from "./signing.ts";

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

function sent(message: Message, by: Identity, keys: KeyRing, counter = 1): Packet {
  const packet = seal(by, keys, message, counter);
  assert.ok(packet !== undefined);
  return packet;
}

const reason = (packet: Packet, keys: KeyRing, revoked: readonly number[] = []): string => {
  const opened = open(packet, identity(2), keys, new Set(revoked));
  return opened.ok ? "good" : opened.reason;
};

test("A2: a MAC convinces who holds its key, and only unchanged", () => {
  const packet = sent(PROBE, identity(1), ring(3, 77));
  assert.equal(reason(packet, ring(3, 77)), "good");
  assert.equal(reason(packet, ring(3, 78)), "bad-mac");
  assert.equal(reason(packet, ring(4, 77)), "unknown-key");
  for (let at = 0; at < packet.bytes.byteLength; at++) {
    const bytes = packet.bytes.slice();
    bytes[at] = (bytes[at] ?? 0) ^ 0x10;
    const changed = new Packet(packet.from, bytes);
    assert.notEqual(reason(changed, ring(3, 77)), "good", `byte ${at}`);
  }
});

test("A2: a signature convinces who knows the CA, unless the certificate is revoked or another's", () => {
  const keys = new KeyRing();
  const packet = sent(OFFER, identity(1), keys);
  assert.equal(reason(packet, keys), "good");
  assert.equal(reason(packet, keys, [1]), "bad-certificate");
  assert.equal(reason(new Packet(ip("10.0.0.9"), packet.bytes), keys), "bad-certificate");
  assert.equal(reason(sent(OFFER, identity(1, 9), keys), keys), "foreign-cluster");
});

test("A2: without a key nothing is sent that needs one", () => {
  assert.equal(seal(identity(1), new KeyRing(), PROBE, 1), undefined);
});

test("sim: what travels as a value is, as bytes, what the codec would have made, and convinces the same", () => {
  const value = sent(PROBE, identity(1), ring(3, 77), CODED + 1);
  const read = new Packet(value.from, value.bytes);
  assert.deepEqual(read.said?.message, value.said?.message);
  assert.deepEqual(read.said?.header, value.said?.header);
  assert.equal(reason(read, ring(3, 77)), "good");
  assert.equal(reason(read, ring(3, 78)), "bad-mac");
});

test("sim: a message that the codec would not give back as it was does not pass", () => {
  const config = { counter: 1, digest: "0000000000000001" };
  const tables = { epoch: 1, counter: 1, master: nodeId(1) };
  const mac = "02:00:00:00:00:01" as MacAddress;
  const keepalive = { type: "member-keepalive", master: nodeId(2), config, tables, mac } as const;
  const message: Message = { ...keepalive, sequence: 1.5, perInterval: 5 };
  assert.throws(() => sent(message, identity(1), ring(3, 77), CODED), /what the codec reads/);
});
