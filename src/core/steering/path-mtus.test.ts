// What routers say about outer packets that were too long for them (RFC 792, RFC 1191), byte by byte, and for how long it holds.
import assert from "node:assert/strict";
import { test } from "node:test";
import { LOWEST_PATH_MTU } from "#base/path-mtu.ts";
import { after, instant } from "#base/time.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { believedMtu, complaintIn, PATH_MTU_MS, PathMtus } from "./path-mtus.ts";

/** From the router 10.0.9.1 to node 10.0.0.1: type 3, code 4, next-hop MTU 1400, and what it could not pass on. */
const HEAD = "45000038 00000000 4001 0000 0a000901 0a000001";
const NEEDED = "0304 0000 0000 0578";
const IPIP = "450005dc 50014000 4004 b0e3 0a000001 c6336405 450005c8 00000000";
const GENEVE = "450005dc 00004000 4011 00d9 0a000001 c6336405 c000 17c1 05c8 0000";

for (const [what, quoted] of [
  ["IP in IP", IPIP],
  ["IPv6 in IP", IPIP.replace("4004", "4029")],
  ["Geneve", GENEVE],
] as const) {
  test(`B11: fragmentation needed, about ${what}`, () => {
    const complaint = complaintIn(unhex(`${HEAD} ${NEEDED} ${quoted}`));
    assert.equal(complaint?.mtu, 1400);
    assert.equal(hex(complaint?.source ?? new Uint8Array()), "0a000001");
    assert.equal(hex(complaint?.destination ?? new Uint8Array()), "c6336405");
  });
}

for (const [what, bytes] of [
  ["nothing", ""],
  ["another protocol", `${HEAD.replace("4001", "4006")} ${NEEDED} ${IPIP}`],
  ["port unreachable", `${HEAD} ${NEEDED.replace("0304", "0303")} ${IPIP}`],
  ["time exceeded", `${HEAD} ${NEEDED.replace("0304", "0b04")} ${IPIP}`],
  ["a packet that is no tunnel's", `${HEAD} ${NEEDED} ${IPIP.replace("4004", "4006")}`],
  ["UDP to another port", `${HEAD} ${NEEDED} ${GENEVE.replace("17c1", "17c2")}`],
  ["a quotation that ends early", `${HEAD} ${NEEDED} 450005dc 5001`],
  ["an MTU that the packet fits", `${HEAD} ${NEEDED.replace("0578", "05dc")} ${IPIP}`],
  ["a router that says no MTU", `${HEAD} ${NEEDED.replace("0578", "0000")} ${IPIP}`],
] as const) {
  test(`B11: no complaint: ${what}`, () => assert.equal(complaintIn(unhex(bytes)), undefined));
}

const NOW = instant(1000);
const NODE = unhex("c6336405");
const about = (mtu: number) => ({ source: unhex("0a000001"), destination: NODE, mtu });

test("B11: the smallest MTU holds for ten minutes from when it was last heard", () => {
  const mtus = new PathMtus();
  assert.equal(mtus.of(NOW, NODE), undefined);
  assert.equal(mtus.heard(NOW, about(1400)), true);
  assert.equal(mtus.heard(NOW, about(1400)), false);
  assert.equal(mtus.heard(NOW, about(1450)), false);
  assert.equal(mtus.of(NOW, NODE), 1400);
  assert.equal(mtus.of(NOW, unhex("c6336406")), undefined);
  const later = after(NOW, PATH_MTU_MS - 1);
  assert.equal(mtus.of(later, NODE), 1400);
  assert.equal(mtus.heard(later, about(1400)), false);
  assert.equal(mtus.of(after(NOW, PATH_MTU_MS), NODE), 1400, "heard again");
  assert.equal(mtus.of(after(later, PATH_MTU_MS), NODE), undefined);
});

test("B11: nobody can make packets shorter than IPv6 needs", () => {
  const mtus = new PathMtus();
  mtus.heard(NOW, about(68));
  assert.equal(mtus.of(NOW, NODE), LOWEST_PATH_MTU);
  assert.deepEqual([552, 1323, 1324, 1500].map(believedMtu), [1324, 1324, 1324, 1500]);
});
