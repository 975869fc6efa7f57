// Cluster datagrams: golden bytes, round trips, and whatever else the network may bring.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { decodeDatagram, encodeProved, MAX_DATAGRAM } from "./datagram.ts";
import {
  authKindOf,
  EXIT_REASONS,
  type Message,
  REFUSAL_REASONS,
  ROSTER_PART,
  type RosterEntry,
} from "./message.ts";

const bytesOf = (hex: string): Uint8Array =>
  Uint8Array.from(Buffer.from(hex.replaceAll(/\s/g, ""), "hex"));

const joined = (parts: readonly string[]): Uint8Array => bytesOf(parts.join(""));

const header = {
  cluster: bytesOf("c1c2c3c4c5c6c7c8"),
  boot: 0x0102030405060708n,
  counter: 0x1_0000_0002,
  sender: nodeId(0x0abc),
};
const config = { counter: 7, digest: "0011223344556677" };

test("A11: a member keepalive has the documented bytes", () => {
  const bytes = joined([
    "504e4c59", // magic
    "01 0a 02 05", // version, member-keepalive, MAC, key 5
    "c1c2c3c4c5c6c7c8", // cluster
    "0807060504030201", // boot
    "0200000001000000", // counter
    "bc0a 2700", // sender, length of the body
    "2a00000000000000", // sequence
    "0300", // master
    "07000000 0011223344556677", // configuration
    "09000000 0b000000 0300", // tables: epoch, counter, master
    "05", // keepalives per interval
    "0200000000aa", // MAC address
    "000102030405060708090a0b0c0d0e0f", // proof
  ]);
  const message: Message = {
    type: "member-keepalive",
    sequence: 42,
    master: nodeId(3),
    config,
    tables: { epoch: 9, counter: 11, master: nodeId(3) },
    perInterval: 5,
    mac: mac("02:00:00:00:00:aa"),
  };
  assert.deepEqual(encodeProved(header, message, 5), bytes.subarray(0, -16));
  const decoded = decodeDatagram(bytes);
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.message, message);
  assert.deepEqual(decoded.value.header, header);
  assert.deepEqual(decoded.value.proof, { kind: "mac", keyId: 5, tag: bytes.subarray(-16) });
  assert.deepEqual(decoded.value.proved, bytes.subarray(0, -16));
});

test("A3: an offer has the documented bytes", () => {
  const bytes = joined([
    "504e4c59",
    "01 05 01 00", // version, offer, signature
    "c1c2c3c4c5c6c7c8",
    "0807060504030201",
    "0200000001000000",
    "bc0a 1600",
    "04000000", // request
    "09000000", // epoch
    "07000000 0011223344556677",
    "0200", // the master that fell silent
    "0300 308201", // certificate: length, DER
    "5a".repeat(64), // signature
  ]);
  const offer: Message = { type: "offer", request: 4, epoch: 9, config, silent: nodeId(2) };
  const certificate = bytesOf("308201");
  assert.deepEqual(encodeProved(header, offer, certificate), bytes.subarray(0, -64));
  const decoded = decodeDatagram(bytes);
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.message, offer);
  const signature = new Uint8Array(64).fill(0x5a);
  assert.deepEqual(decoded.value.proof, { kind: "signature", certificate, signature });
});

test("A10: a refusal by an application has the documented bytes", () => {
  const bytes = joined([
    "504e4c59",
    "01 03 01 00", // version, join-refused, signature
    "c1c2c3c4c5c6c7c8",
    "0807060504030201",
    "0200000001000000",
    "bc0a 1800",
    "8877665544332211 05000000", // nonce: boot, request
    "05", // an application
    "0a 69707365633a206ec3b8", // "ipsec: nø"
    "0300 308201", // certificate: length, DER
    "5a".repeat(64), // signature
  ]);
  const nonce = { boot: 0x1122334455667788n, request: 5 };
  const text = "ipsec: nø";
  const refusal: Message = { type: "join-refused", nonce, reason: "application", text };
  assert.deepEqual(encodeProved(header, refusal, bytesOf("308201")), bytes.subarray(0, -64));
  const decoded = decodeDatagram(bytes);
  assert.ok(decoded.ok);
  assert.deepEqual(decoded.value.message, refusal);
});

const u32 = fc.nat(0xffffffff);
const someNode = fc.integer({ min: 1, max: 4095 }).map(nodeId);
const someConfig = fc.record({
  counter: u32,
  digest: fc
    .uint8Array({ minLength: 8, maxLength: 8 })
    .map((bytes) => Buffer.from(bytes).toString("hex")),
});
const someTables = fc.record({ epoch: u32, counter: u32, master: someNode });
const someNonce = fc.record({ boot: fc.bigInt(0n, 2n ** 64n - 1n), request: u32 });
const someMac = fc.constantFrom(mac("02:00:00:00:00:01"), mac("ff:fe:fd:fc:fb:fa"));
const someEntry: fc.Arbitrary<RosterEntry> = fc.record({
  id: someNode,
  address: fc.constantFrom(ip("10.0.0.1"), ip("192.168.255.254"), ip("fd00::1:2")),
  mac: someMac,
});
const safe = fc.nat(Number.MAX_SAFE_INTEGER);
const rate = fc.integer({ min: 1, max: 20 });
const typed = <T extends Message["type"]>(type: T): fc.Arbitrary<T> => fc.constant(type);

const MESSAGES: { readonly [T in Message["type"]]: fc.Arbitrary<Message> } = {
  "join-request": fc.record({
    type: typed("join-request"),
    request: u32,
    epoch: u32,
    config: someConfig,
    mac: someMac,
  }),
  "join-accepted": fc.record({
    type: typed("join-accepted"),
    nonce: someNonce,
    epoch: u32,
    config: someConfig,
  }),
  "join-refused": fc.oneof(
    fc.record({
      type: typed("join-refused"),
      nonce: someNonce,
      reason: fc.constantFrom(...REFUSAL_REASONS.filter((reason) => reason !== "application")),
    }),
    fc.record({
      type: typed("join-refused"),
      nonce: someNonce,
      reason: fc.constant("application" as const),
      text: fc.string({ unit: "grapheme", maxLength: 20 }),
    }),
  ),
  "join-wait": fc.record({ type: typed("join-wait"), nonce: someNonce, retryMs: fc.nat(65535) }),
  offer: fc.record({
    type: typed("offer"),
    request: u32,
    epoch: u32,
    config: someConfig,
    silent: someNode,
  }),
  "offer-accepted": fc.record({
    type: typed("offer-accepted"),
    nonce: someNonce,
    epoch: u32,
    config: someConfig,
    mac: someMac,
  }),
  "other-master-exists": fc.record({
    type: typed("other-master-exists"),
    nonce: someNonce,
    request: u32,
    master: someNode,
    epoch: u32,
    config: someConfig,
    members: fc.nat(512),
  }),
  "exit-request": fc.record({
    type: typed("exit-request"),
    nonce: someNonce,
    reason: fc.constantFrom(...EXIT_REASONS),
    config: someConfig,
  }),
  "master-keepalive": fc.record({
    type: typed("master-keepalive"),
    sequence: safe,
    epoch: u32,
    config: someConfig,
    tables: someTables,
    detectionMs: fc.integer({ min: 1, max: 60_000 }),
    perInterval: rate,
    roster: u32,
    isMost: fc.boolean(),
    memberCount: fc.constant(200),
    offset: fc.nat(100),
    members: fc.array(someEntry, { maxLength: ROSTER_PART }),
  }),
  "member-keepalive": fc.record({
    type: typed("member-keepalive"),
    sequence: safe,
    master: someNode,
    config: someConfig,
    tables: someTables,
    perInterval: rate,
    mac: someMac,
  }),
  probe: fc.record({ type: typed("probe") }),
  goodbye: fc.record({ type: typed("goodbye") }),
};

/** A datagram with a proof of the right length. */
function sealed(message: Message): Uint8Array {
  const isMac = authKindOf(message.type) === "mac";
  const proved = encodeProved(header, message, isMac ? 9 : new Uint8Array(600).fill(3));
  return Buffer.concat([proved, new Uint8Array(isMac ? 16 : 64).fill(1)]);
}

for (const [type, arbitrary] of Object.entries(MESSAGES)) {
  test(`wire: ${type} comes back as it was, fits a datagram, and no shorter piece of it passes`, () => {
    fc.assert(
      fc.property(arbitrary, fc.nat(), (message, cut) => {
        const bytes = sealed(message);
        assert.ok(bytes.byteLength <= MAX_DATAGRAM);
        const decoded = decodeDatagram(bytes);
        assert.ok(decoded.ok);
        assert.deepEqual(decoded.value.message, structuredClone(message)); // plain prototypes
        assert.deepEqual(decodeDatagram(bytes.subarray(0, cut % bytes.byteLength)), {
          ok: false,
          reason: "incomplete",
        });
      }),
      { numRuns: 100 },
    );
  });
}

test("wire: decoding never throws, and what passes is encoded to the same bytes again", () => {
  const valid = fc.oneof(...Object.values(MESSAGES)).map(sealed);
  const mutated = fc.tuple(valid, fc.nat(), fc.nat(255)).map(([bytes, at, value]) => {
    const copy = Uint8Array.from(bytes);
    copy[at % copy.byteLength] = value;
    return copy;
  });
  fc.assert(
    fc.property(fc.oneof(mutated, fc.uint8Array({ maxLength: 200 })), (bytes) => {
      const decoded = decodeDatagram(bytes);
      if (!decoded.ok) return;
      const { header, message, proof, proved } = decoded.value;
      const origin = proof.kind === "mac" ? proof.keyId : proof.certificate;
      const again = encodeProved(header, message, origin);
      // a signed message has no key, so that byte is not kept
      if (proof.kind === "signature") again[7] = bytes[7] ?? 0;
      assert.deepEqual(Uint8Array.from(again), Uint8Array.from(proved));
    }),
    { numRuns: 5000 },
  );
});

test("wire: a message with the other kind of proof, or with bytes left over, is malformed", () => {
  const probe = sealed({ type: "probe" });
  const signed = Uint8Array.from(probe);
  signed[6] = 1;
  assert.deepEqual(decodeDatagram(signed), { ok: false, reason: "malformed" });
  const longer = Buffer.concat([probe, Uint8Array.of(0)]);
  assert.deepEqual(decodeDatagram(longer), { ok: false, reason: "malformed" });
  const newer = Uint8Array.from(probe);
  newer[4] = 2;
  assert.deepEqual(decodeDatagram(newer), { ok: false, reason: "unsupported" });
});

test("wire: an epoch that does not fit is not sent as another one", () => {
  for (const epoch of [2 ** 32, -1, 1.5]) {
    const offer: Message = { type: "offer", request: 4, epoch, config, silent: nodeId(2) };
    assert.throws(() => encodeProved(header, offer, new Uint8Array(3)), /epoch has 32 bits/);
  }
});
