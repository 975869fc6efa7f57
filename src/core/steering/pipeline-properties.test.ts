// What holds for every frame and every table, checked on random ones. A failure names its seed.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { mac, macBytes } from "#base/address.ts";
import { Prng } from "#base/prng.ts";
import { MAX_HOP, wayOf } from "#wire/ethernet-hop.ts";
import { FragmentMemory } from "./fragments.ts";
import { indexTables } from "./indexed-tables.ts";
import { steer, type PipelineContext } from "./pipeline.ts";
import { REASONS, type Reason } from "./reasons.ts";
import { randomFrame, randomScenario, type Scenario } from "./testing/arbitrary.ts";
import { hex } from "#wire/testing/hex.ts";
import { readOuter } from "#wire/tunnel.ts";
import { owned, SELF, tunnelsOf } from "./testing/vector.ts";
import { decapsulate } from "./tunnels.ts";

const contextOf = (
  { tables, leased, accepting, tunnels }: Scenario,
  knows = false,
): PipelineContext => ({
  tables: indexTables(tables),
  self: SELF.id,
  mac: macBytes(mac(SELF.mac)),
  leased,
  accepting,
  knows: () => knows,
  noteSession: () => {},
  fragments: new FragmentMemory(),
  canHold: (_, length) => length <= 2048,
  tunnels: tunnelsOf(tunnels),
});

/** The frame that came, or that came out of a tunnel. */
function arrived(frame: Uint8Array, context: PipelineContext): Uint8Array {
  const { tunnels, tables, mac } = context;
  const inner = tunnels && decapsulate(frame, { tunnels, tables, mac });
  return inner instanceof Uint8Array ? inner : frame;
}

/** Steers one frame and checks what holds for each. */
function steered(frame: Uint8Array, context: PipelineContext): Reason {
  const before = arrived(frame.slice(), context);
  const shared = context.tables.isClusterMac(before.subarray(0, 6));
  const verdict = steer(frame, context);
  const left = verdict.frame ?? frame;
  const hop = shared ? 0 : wayOf(before.subarray(6, 12)).hop;
  if (verdict.action !== "forward") {
    assert.equal(hex(left), hex(before), "what is not forwarded stays as it is");
    if (verdict.action === "pass" && verdict.reason !== "pass-not-ip") {
      assert.equal(verdict.toHost, shared, "the stack is told of frames to a cluster MAC");
    }
    return verdict.reason;
  }
  assert.notEqual(verdict.node, SELF.id, "never to itself");
  assert.ok(verdict.hop > hop && verdict.hop <= MAX_HOP, "the hop rises");
  const tunnel = context.tunnels?.to(verdict.node);
  if (tunnel !== undefined) {
    const outer = readOuter(left.subarray(14));
    assert.deepEqual(outer?.destination, tunnel.destination);
    assert.equal((outer?.inner?.way ?? 0) & MAX_HOP, verdict.hop, "the hop goes along");
    assert.equal(
      hex(outer?.inner?.packet ?? left),
      hex(before.subarray(14)),
      "whole and unchanged",
    );
    return verdict.reason;
  }
  assert.equal(hex(left.subarray(12)), hex(before.subarray(12)), "only MAC addresses change");
  assert.equal(wayOf(left.subarray(6, 12)).hop, verdict.hop);
  assert.deepEqual(left.slice(0, 6), context.tables.macOf(verdict.node));
  assert.equal((left[10] ?? 0) * 256 + (left[11] ?? 0), SELF.id);
  return verdict.reason;
}

test("B5: hops rise, nothing goes to itself, only MAC addresses change (20 000 random frames)", () => {
  const reached = new Set<Reason>();
  for (let seed = 1; seed <= 40; seed++) {
    const prng = new Prng(seed);
    const context = contextOf(randomScenario(prng), prng.chance(0.3));
    for (let count = 0; count < 500; count++) {
      const frame = randomFrame(prng);
      const original = hex(frame);
      try {
        reached.add(steered(frame, context));
      } catch (cause) {
        throw new Error(`seed ${seed}, frame ${count}: ${original}`, { cause });
      }
    }
  }
  assert.deepEqual(
    REASONS.filter((reason) => !reached.has(reason)),
    [],
    "the generator reaches every reason",
  );
});

test("B5: a frame that is forwarded from node to node comes to rest, whatever tables they hold", () => {
  for (let seed = 1; seed <= 300; seed++) {
    const prng = new Prng(seed);
    const frame = randomFrame(prng);
    const contexts = new Map<number, PipelineContext>();
    let [at, passages] = [SELF.id as number, 0];
    for (;;) {
      const known = contexts.get(at) ?? {
        ...contextOf(randomScenario(prng)),
        self: at as typeof SELF.id,
      };
      contexts.set(at, known);
      const verdict = steer(frame, { ...known, mac: frame.slice(0, 6) });
      if (verdict.action !== "forward") break;
      at = verdict.node;
      passages++;
      assert.ok(passages <= MAX_HOP, `seed ${seed}: forwarded ${passages} times`);
    }
  }
});

const header = fc.constantFrom("0800", "0806", "86dd", "8100");
const arbitraryFrame = fc
  .tuple(header, fc.uint8Array({ maxLength: 200 }), fc.constantFrom(0x45, 0x46, 0x60, 0x00))
  .map(([etherType, payload, first]) => {
    const frame = new Uint8Array(14 + payload.byteLength);
    frame.set(macBytes(mac(SELF.mac)));
    frame[12] = Number.parseInt(etherType.slice(0, 2), 16);
    frame[13] = Number.parseInt(etherType.slice(2), 16);
    frame.set(payload, 14);
    if (first !== 0 && frame.byteLength > 14) frame[14] = first;
    return frame;
  });

test("B5: arbitrary bytes get a verdict and never an exception", () => {
  const context = contextOf({
    tables: owned(2, [3, 4]),
    leased: false,
    accepting: true,
    tunnels: [],
  });
  fc.assert(
    fc.property(fc.uint8Array({ maxLength: 128 }), (frame) => {
      assert.ok(REASONS.includes(steer(frame, context).reason));
    }),
    { numRuns: 2000 },
  );
  fc.assert(
    fc.property(arbitraryFrame, (frame) => {
      assert.ok(REASONS.includes(steered(frame, context)));
    }),
    { numRuns: 5000 },
  );
});
