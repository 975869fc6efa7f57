// What anybody who can forge a node's address sends through a tunnel, and what anybody says as a router about packets of ours.
import assert from "node:assert/strict";
import { nodeId } from "#base/ids.ts";
import { complaintIn } from "#core/steering/path-mtus.ts";
import { tooBig } from "#core/steering/too-big.ts";
import { unhex } from "#wire/testing/hex.ts";
import { encapsulated, readOuter, TUNNEL_KINDS } from "#wire/tunnel.ts";
import type { Target } from "./target.ts";

const MACS = { nextMac: unhex("020000000002"), ownMac: unhex("020000000001") };
const ENDS = { source: unhex("0a000001"), destination: unhex("c6336405"), mtu: 1500 };
const FRAMES = [
  unhex(`${"00".repeat(12)} 0800 45000014 00000000 4006 0000 c0000207 0a000064`),
  unhex(`${"00".repeat(12)} 86dd 60000000 0000 3b 40 ${"20".repeat(32)}`),
];
const OUTER = TUNNEL_KINDS.flatMap((kind) =>
  FRAMES.map((frame) =>
    encapsulated(frame, { ...MACS, ...ENDS, kind }, { way: 9, sender: nodeId(2), flow: 7 }),
  ),
);

/** What is read is what would be written: the inner packet whole, its way and sender. */
const outer: Target = {
  name: "outer",
  seeds: OUTER.map((frame) => frame.subarray(14)),
  run: (bytes) => {
    const read = readOuter(bytes);
    if (read === undefined) return "none";
    if (read.inner === undefined) return "unreadable";
    const { packet, way, sender, family } = read.inner;
    assert.ok(way % 8 !== 0 && packet.byteLength <= bytes.byteLength - 20);
    assert.deepEqual(packet, bytes.subarray(bytes.byteLength - packet.byteLength));
    return `${family} ${sender === undefined ? "ipip" : "geneve"}`;
  },
};

const complaints: Target = {
  name: "complaints",
  seeds: OUTER.map((frame) =>
    Buffer.concat([
      unhex("45000038 00000000 4001 0000 0a000901 0a000001 0304 0000 0000 0014"),
      frame.subarray(14),
    ]),
  ),
  run: (bytes) => {
    const complaint = complaintIn(bytes);
    if (complaint === undefined) return "none";
    assert.ok(complaint.mtu >= 20 && complaint.mtu < 65_535);
    assert.equal(complaint.source.byteLength + complaint.destination.byteLength, 8);
    return "complaint";
  },
};

const answers: Target = {
  name: "too-big",
  seeds: FRAMES,
  run: (bytes) => {
    const answer = tooBig(bytes, 1480);
    if (answer === undefined) return "none";
    assert.ok(answer.packet.byteLength <= (answer.destination.byteLength === 4 ? 576 : 1280));
    return String(answer.destination.byteLength);
  },
};

export const TUNNEL_TARGETS: readonly Target[] = [outer, complaints, answers];
