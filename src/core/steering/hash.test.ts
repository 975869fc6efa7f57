// Expected values come from a C program written from lookup3's published `final`, run on x86-64.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes } from "#base/address.ts";
import { flowHash, mix, type HashKey } from "./hash.ts";

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
    assert.equal(flowHash(KEY, ipBytes(ip(address)), port), hash, `${address} ${port}`);
  }
});

test("B3: clients behind one address spread evenly over the slots", () => {
  const counts = new Uint32Array(16);
  const source = ipBytes(ip("192.0.2.7"));
  for (let port = 1024; port < 65_536; port++) {
    const slot = flowHash(KEY, source, port) & 15;
    counts[slot] = (counts[slot] ?? 0) + 1;
  }
  const ideal = (65_536 - 1024) / 16;
  for (const count of counts) assert.ok(Math.abs(count - ideal) < ideal * 0.1, counts.join(" "));
});
