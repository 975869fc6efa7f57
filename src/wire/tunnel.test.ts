// Encapsulated frames, byte by byte: IP in IP (RFC 2003), IPv6 in IPv4 (RFC 4213), Geneve (RFC 8926).
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { hex, unhex } from "./testing/hex.ts";
import { encapsulated, overheadOf, readOuter, type Tunnel, TUNNEL_KINDS } from "./tunnel.ts";

const BASE = {
  source: unhex("0a000001"),
  destination: unhex("c6336405"),
  nextMac: unhex("02aa000000fe"),
  ownMac: unhex("025000000001"),
  mtu: 1500,
};
const tunnel = (kind: Tunnel["kind"]): Tunnel & { readonly nextMac: Uint8Array } => ({
  ...BASE,
  kind,
});
const SENDING = { way: 0x0a, sender: nodeId(258), flow: 0x1234 };
/** 20 bytes of IPv4 with DSCP EF and ECN CE; 40 of IPv6 with the same. */
const FOUR = "45bb0014 00000000 4006 0000 c0000207 0a000064";
const SIX = "6bb00000 0000 3b 40 20010db8000100000000000000000007 20010db8000000000000000000000100";
const frame = (etherType: string, packet: string): Uint8Array =>
  unhex(`025000000001 02aa00000099 ${etherType} ${packet}`);
const LINK = "02aa000000fe 025000000001 0800";

for (const [what, kind, inner, outer] of [
  ["IPv4 in IP", "ipip", ["0800", FOUR], "45b80028 500a4000 4004 b5d6 0a000001 c6336405"],
  ["IPv6 in IP", "ipip", ["86dd", SIX], "45b8003c 500a4000 4029 b59d 0a000001 c6336405"],
  [
    "IPv4 in Geneve",
    "geneve",
    ["0800", FOUR],
    "45b80040 00004000 4011 05bc 0a000001 c6336405 d234 17c1 002c 0000 02 40 0800 000000 00 fff0 81 01 0a 00 0102",
  ],
  [
    "IPv6 in Geneve",
    "geneve",
    ["86dd", SIX],
    "45b80054 00004000 4011 05a8 0a000001 c6336405 d234 17c1 0040 0000 02 40 86dd 000000 00 fff0 81 01 0a 00 0102",
  ],
] as const) {
  test(`B11: ${what} has the bytes of its RFC, the inner DSCP and no ECN`, () => {
    const [etherType, packetHex] = inner;
    const sent = encapsulated(frame(etherType, packetHex), tunnel(kind), SENDING);
    assert.equal(hex(sent), hex(unhex(`${LINK} ${outer} ${packetHex}`)));
    const packet = unhex(packetHex);
    assert.equal(sent.byteLength - 14, packet.byteLength + overheadOf(kind));
    const read = readOuter(sent.subarray(14));
    assert.deepEqual(read?.inner, {
      family: etherType === "0800" ? 4 : 6,
      way: 0x0a,
      sender: kind === "ipip" ? undefined : 258,
      packet,
    });
  });
}

const IPIP = unhex(`45b80028 500a4000 4004 0000 0a000001 c6336405 ${FOUR}`);
const GENEVE = unhex(
  `45b80040 00004000 4011 0000 0a000001 c6336405 d234 17c1 002c 0000 02 40 0800 000000 00 fff0 81 01 0a 00 0102 ${FOUR}`,
);
const changed = (bytes: Uint8Array, at: number, value: number): Uint8Array => {
  const copy = bytes.slice();
  copy[at] = value;
  return copy;
};

for (const [what, packet] of [
  ["nothing", unhex("")],
  ["IPv4 with options", changed(IPIP, 0, 0x46)],
  ["a fragment", changed(IPIP, 6, 0x20)],
  ["a later fragment", changed(IPIP, 7, 1)],
  ["TCP", changed(IPIP, 9, 6)],
  ["UDP to another port", changed(GENEVE, 23, 0xc2)],
  ["UDP that ends early", GENEVE.subarray(0, 43)],
] as const) {
  test(`B11: ${what} carries no packet`, () => assert.equal(readOuter(packet), undefined));
}

for (const [what, packet] of [
  ["an identification without our mark", changed(IPIP, 4, 0x51)],
  ["hop 0", changed(IPIP, 5, 0x08)],
  ["Geneve without options", changed(GENEVE, 28, 0)],
  ["Geneve of another version", changed(GENEVE, 28, 0x42)],
  ["another network", changed(GENEVE, 34, 1)],
  ["an option of another class", changed(GENEVE, 36, 1)],
  ["Geneve with an Ethernet frame in it", changed(GENEVE, 30, 0x65)],
  ["Geneve with hop 0", changed(GENEVE, 40, 0xf8)],
] as const) {
  test(`B11: ${what} does not say how far the packet has come`, () => {
    const read = readOuter(packet);
    assert.ok(read !== undefined);
    assert.equal(read.inner, undefined);
  });
}

test("B11: how much room an outer header takes", () => {
  assert.deepEqual(TUNNEL_KINDS.map(overheadOf), [20, 44]);
});
