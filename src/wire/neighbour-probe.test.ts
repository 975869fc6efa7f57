// Golden bytes by hand from RFC 5227 and RFC 4861; checksums added up on paper.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip, mac } from "#base/address.ts";
import { decodeClaim, probeFrame } from "./neighbour-probe.ts";

const bytes = (...hex: readonly string[]): Uint8Array =>
  Uint8Array.from(hex.join(" ").trim().split(/\s+/), (byte) => Number.parseInt(byte, 16));

test("an ARP Probe names no sender address", () => {
  assert.deepEqual(
    probeFrame(ip("192.0.2.7"), mac("02:00:00:00:00:0a")),
    bytes(
      "ff ff ff ff ff ff  02 00 00 00 00 0a  08 06",
      "00 01 08 00 06 04  00 01", // request
      "02 00 00 00 00 0a  00 00 00 00", // sender IP address is all zero (RFC 5227 section 2.1.1)
      "00 00 00 00 00 00  c0 00 02 07", // target
    ),
  );
});

test("an IPv6 probe comes from the unspecified address and has no option", () => {
  assert.deepEqual(
    probeFrame(ip("fd00::a:b0c"), mac("02:00:00:00:00:0a")),
    bytes(
      "33 33 ff 0a 0b 0c  02 00 00 00 00 0a  86 dd", // last four bytes of the group
      "60 00 00 00  00 18  3a  ff", // 24 bytes of ICMPv6, hop limit 255
      "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", // from nobody
      "ff 02 00 00 00 00 00 00 00 00 00 01 ff 0a 0b 0c", // solicited-node group
      "87 00  67 7b  00 00 00 00", // 135 Neighbor Solicitation; ~(2096b + 8700 + 10816)
      "fd 00 00 00 00 00 00 00 00 00 00 00 00 0a 0b 0c", // target
    ),
  );
});

const ARP_REPLY = bytes(
  "02 00 00 00 00 0a  02 00 00 00 00 0b  08 06",
  "00 01 08 00 06 04  00 02",
  "02 00 00 00 00 0b  c0 00 02 07",
  "02 00 00 00 00 0a  00 00 00 00",
  "00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00 00", // Ethernet padding
);

const ADVERTISEMENT = bytes(
  "33 33 00 00 00 01  02 00 00 00 00 0c  86 dd",
  "60 00 00 00  00 20  3a  ff",
  "fd 00 00 00 00 00 00 00 00 00 00 00 00 0a 0b 0c",
  "ff 02 00 00 00 00 00 00 00 00 00 00 00 00 00 01",
  "88 00  00 00  20 00 00 00",
  "fd 00 00 00 00 00 00 00 00 00 00 00 00 0a 0b 0c",
  "02 01  02 00 00 00 00 0b", // another than the Ethernet source
);

test("an ARP reply claims its sender's address, whatever is padded behind it", () => {
  assert.deepEqual(decodeClaim(ARP_REPLY), {
    ok: true,
    value: { address: "192.0.2.7", mac: "02:00:00:00:00:0b" },
    length: 42,
  });
});

test("a Neighbor Advertisement claims its target for its link-layer option, or for its sender", () => {
  const claim = decodeClaim(ADVERTISEMENT);
  assert.deepEqual(claim.ok && claim.value, { address: "fd00::a:b0c", mac: "02:00:00:00:00:0b" });
  const without = decodeClaim(ADVERTISEMENT.subarray(0, ADVERTISEMENT.length - 8));
  assert.deepEqual(without.ok && without.value, {
    address: "fd00::a:b0c",
    mac: "02:00:00:00:00:0c",
  });
});

test("another's probe, other protocols and frames cut short claim nothing", () => {
  const probe = probeFrame(ip("192.0.2.7"), mac("02:00:00:00:00:0b"));
  assert.deepEqual(decodeClaim(probe), { ok: false, reason: "unsupported" });
  const solicitation = probeFrame(ip("fd00::1"), mac("02:00:00:00:00:0b"));
  assert.deepEqual(decodeClaim(solicitation), { ok: false, reason: "unsupported" });
  assert.deepEqual(decodeClaim(ARP_REPLY.subarray(0, 41)), { ok: false, reason: "incomplete" });
  assert.deepEqual(decodeClaim(ADVERTISEMENT.subarray(0, 77)), { ok: false, reason: "incomplete" });
  assert.deepEqual(decodeClaim(new Uint8Array(13)), { ok: false, reason: "incomplete" });
});

test("no frame makes the decoder throw or run on", () => {
  const start = fc.constantFrom(ARP_REPLY, ADVERTISEMENT);
  const change = fc.tuple(fc.nat(85), fc.nat(255));
  fc.assert(
    fc.property(start, fc.array(change), fc.nat(90), (frame, changes, length) => {
      const mutated = frame.slice(0, length);
      for (const [at, value] of changes) if (at < mutated.length) mutated[at] = value;
      const claim = decodeClaim(mutated);
      return claim.ok ? claim.length <= mutated.length : true;
    }),
  );
});
