// The decoders that anybody on the segment can reach with one frame: the packet pipeline, and what neighbours say.
import assert from "node:assert/strict";
import { mac, macBytes } from "#base/address.ts";
import { Prng } from "#base/prng.ts";
import { FragmentMemory } from "#core/steering/fragments.ts";
import { indexTables } from "#core/steering/indexed-tables.ts";
import { steer, type PipelineContext } from "#core/steering/pipeline.ts";
import { randomFrame, randomScenario } from "#core/steering/testing/arbitrary.ts";
import { SELF, type TestTunnel, tunnelsOf } from "#core/steering/testing/vector.ts";
import { decodeArp, encodeArp } from "#wire/arp.ts";
import { ETHERNET_LENGTH } from "#wire/ethernet.ts";
import { walkExtensionHeaders } from "#wire/ipv6.ts";
import { decodeSolicitation } from "#wire/ndp.ts";
import { decodeClaim } from "#wire/neighbour-probe.ts";
import { unhex } from "#wire/testing/hex.ts";
import type { Target } from "./target.ts";

const prng = new Prng(1);
const { tables } = randomScenario(prng);
const FRAMES = Array.from({ length: 200 }, () => randomFrame(prng));

const indexed = indexTables(tables);
const ownMac = macBytes(mac(SELF.mac));

const WAY = { source: unhex("0a000001"), nextMac: ownMac, ownMac, mtu: 200 };
const TUNNELS: readonly TestTunnel[] = [
  { ...WAY, node: 4, kind: "geneve", destination: unhex("c6336404") },
  { ...WAY, node: 5, kind: "ipip", destination: unhex("c6336405") },
];

/** Without a memory of earlier frames, so that an input can be run again alone. */
const freshContext = (): PipelineContext => ({
  tables: indexed,
  self: SELF.id,
  mac: ownMac,
  leased: true,
  accepting: true,
  knows: (flow) => flow.sourcePort % 2 === 0,
  noteSession: () => {},
  fragments: new FragmentMemory(),
  canHold: (_, length) => length <= 2048,
  tunnels: tunnelsOf(TUNNELS),
});

const pipeline: Target = {
  name: "pipeline",
  seeds: FRAMES,
  run: (bytes) => {
    if (bytes.length < ETHERNET_LENGTH) return "no frame";
    const frame = bytes.slice();
    const verdict = steer(frame, freshContext());
    const touched = verdict.action === "forward" && verdict.frame === undefined ? 12 : 0;
    assert.deepEqual(frame.subarray(touched), bytes.subarray(touched), "only MAC addresses change");
    return verdict.reason;
  },
};

const neighbours: Target = {
  name: "neighbours",
  seeds: FRAMES,
  run: (bytes) => {
    const payload = bytes.subarray(ETHERNET_LENGTH);
    const arp = decodeArp(payload);
    if (arp.ok) assert.deepEqual(encodeArp(arp.value), Uint8Array.from(payload.subarray(0, 28)));
    const solicitation = decodeSolicitation(payload.subarray(40));
    if (solicitation.ok) assert.equal(solicitation.value.target.length, 16);
    const transport = payload.length < 40 ? "short" : walkExtensionHeaders(payload);
    if (typeof transport !== "string") assert.ok(transport.offset <= payload.length);
    const words = [arp, solicitation, decodeClaim(bytes)].map(({ ok }) => (ok ? "ok" : "no"));
    return `${words.join(" ")} ${typeof transport === "string" ? transport : transport.protocol}`;
  },
};

export const FRAME_TARGETS: readonly Target[] = [pipeline, neighbours];
