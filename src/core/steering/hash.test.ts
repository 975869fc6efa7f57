// Expected values come from a C program written from lookup3's published `final`, run on x86-64.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ip, ipBytes } from "#base/address.ts";
import { portWord } from "./discriminator.ts";
import { mix } from "#base/mix.ts";
import { flowHash, slotOf, type HashKey } from "./hash.ts";

const KEY: HashKey = [0x6a09e667, 0xbb67ae85];

test("B3: final(a, b, c) is lookup3's, in 32-bit arithmetic", () => {
  assert.equal(mix(0, 0, 0), 0);
  assert.equal(mix(1, 2, 3), 0x36ff91db);
  assert.equal(mix(0xdeadbeef, 0xdeadbeef, 0xdeadbeef), 0x31b8a510);
  assert.equal(mix(0xffffffff, 0xffffffff, 0xffffffff), 0x08eaf2e5);
});

test("B3: hash of IPv4 and IPv6 flows, with and without port", () => {
  const cases: [address: string, port: number, hash: number][] = [
    ["192.0.2.7", 40_000, 0x3be9c743],
    ["192.0.2.7", 0, 0x67096f72],
    ["192.0.2.9", 40_003, 0xcecc3445],
    ["198.51.100.1", 40_004, 0x85b0f1e7],
    ["2001:db8:1::7", 40_000, 0xa93e5764],
    ["2001:db8:1::7", 0, 0x98c0ce26],
    ["2001:db8:1::b", 40_004, 0x1c452e00],
  ];
  for (const [address, port, hash] of cases) {
    assert.equal(flowHash(KEY, ipBytes(ip(address)), portWord(port)), hash, `${address} ${port}`);
  }
});

test("B3: clients behind one address spread evenly over the slots", () => {
  const counts = new Uint32Array(16);
  const source = ipBytes(ip("192.0.2.7"));
  for (let port = 1024; port < 65_536; port++) {
    const slot = flowHash(KEY, source, portWord(port)) & 15;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  const ideal = (65_536 - 1024) / 16;
  for (const count of counts) assert.ok(Math.abs(count - ideal) < ideal * 0.1, counts.join(" "));
});

const input = (source: string, destination: string, discriminator: number, protocol = 6) => ({
  protocol,
  source: ipBytes(ip(source)),
  destination: ipBytes(ip(destination)),
  discriminator,
});

test("A14: the published hash, worked by hand", () => {
  const xor = { hash: "xor", hashKey: KEY } as const;
  const tcp = input("192.0.2.7", "10.0.0.100", portWord(40_000));
  // 070200c0 ^ 409c = 0702405c; in pieces of ten bits 05c, 090, 070, 0; 05c ^ 090 ^ 070 = 0bc
  assert.equal(slotOf(xor, "weighted", tcp, 1024), 0x0bc);
  // in one piece of sixteen bits each: 405c ^ 0702 = 475e
  assert.equal(slotOf(xor, "weighted", tcp, 65_536), 0x475e);
  // nine ones, an odd number, so with two slots the second
  assert.equal(slotOf(xor, "weighted", tcp, 2), 1);
  // 070200c0 alone: 0c0 ^ 080 ^ 070 = 030
  assert.equal(slotOf(xor, "sticky", tcp, 1024), 0x030);
  // ESP to 10.0.0.100 (6400000a), SPI 1: 070200c0 ^ 6400000a ^ 01000000 = 620200ca; 0ca ^ 080 ^ 220 ^ 1 = 26b
  const esp = input("192.0.2.7", "10.0.0.100", 0x0100_0000, 50);
  assert.equal(slotOf(xor, "weighted", esp, 1024), 0x26b);
  // 2001:db8:1::7: b80d0120 ^ 00000100 ^ 0 ^ 07000000 = bf0d0020; 020 ^ 340 ^ 3f0 ^ 2 = 092
  const six = input("2001:db8:1::7", "2001:db8::100", 0);
  assert.equal(slotOf(xor, "sticky", six, 1024), 0x092);
});

test("A14: both directions have one slot where the policy says so, and the published hash always", () => {
  const address = fc.uint8Array({ minLength: 4, maxLength: 4 });
  fc.assert(
    fc.property(address, address, (source, destination) => {
      const there = { protocol: 17, source, destination, discriminator: 1 };
      const back = { protocol: 17, source: destination, destination: source, discriminator: 2 };
      for (const hash of ["keyed", "xor"] as const) {
        const tables = { hash, hashKey: KEY };
        const slot = slotOf(tables, "routed-symmetric", there, 1024);
        assert.equal(slotOf(tables, "routed-symmetric", back, 1024), slot);
      }
    }),
  );
});

test("A14: routed traffic spreads evenly, symmetric or not", () => {
  for (const policy of ["routed", "routed-symmetric"] as const) {
    const counts = new Uint32Array(16);
    for (let index = 0; index < 65_536; index++) {
      const source = Uint8Array.of(192, 0, 2, index & 0xff);
      const destination = Uint8Array.of(203, 0, 113, index >> 8);
      const flow = { protocol: 6, source, destination, discriminator: 0 };
      const slot = slotOf({ hash: "keyed", hashKey: KEY }, policy, flow, 16);
      counts[slot] = (counts[slot] ?? 0) + 1;
    }
    for (const count of counts) assert.ok(Math.abs(count - 4096) < 410, counts.join(" "));
  }
});
