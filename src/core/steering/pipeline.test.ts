// The model against the list of vectors that the packet program is also held to.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ipBytes, mac, macBytes } from "#base/address.ts";
import { equalBytes } from "#base/bytes-map.ts";
import { indexTables } from "./indexed-tables.ts";
import type { Flow } from "./packet.ts";
import { FragmentMemory } from "./fragments.ts";
import { steer, type PipelineContext } from "./pipeline.ts";
import { actionOf, REASONS } from "./reasons.ts";
import { flowKey } from "#wire/flow-key.ts";
import { hex, unhex } from "#wire/testing/hex.ts";
import { SELF, type Known, tunnelsOf, type Vector } from "./testing/vector.ts";
import { VECTORS } from "./testing/vectors.ts";

const isKnown = (flow: Flow, { client, server }: Known): boolean =>
  equalBytes(flow.source, ipBytes(client.ip)) &&
  equalBytes(flow.destination, ipBytes(server.ip)) &&
  flow.sourcePort === client.port &&
  flow.destinationPort === server.port;

function contextOf({ tables, leased, accepting, known, tunnels }: Vector): PipelineContext {
  const sessions = new Set<string>();
  const knows = (flow: Flow): boolean =>
    flow.protocol === 6 ? known.some((entry) => isKnown(flow, entry)) : sessions.has(flowKey(flow));
  const noteSession = (flow: Flow): void => void sessions.add(flowKey(flow));
  return {
    tables: indexTables(tables),
    self: SELF.id,
    mac: macBytes(mac(SELF.mac)),
    leased,
    accepting,
    knows,
    noteSession,
    fragments: new FragmentMemory(),
    canHold: (_, length) => length <= 2048,
    tunnels: tunnelsOf(tunnels),
  };
}

for (const vector of VECTORS) {
  test(`B5 ${vector.name}`, () => {
    const context = contextOf(vector);
    for (const step of vector.steps) {
      const frame = step.frame.slice();
      const verdict = steer(frame, context);
      assert.equal(verdict.reason, step.reason);
      assert.equal(verdict.action, actionOf(step.reason));
      assert.equal("toHost" in verdict && verdict.toHost, step.toHost ?? false);
      assert.equal(hex(verdict.frame ?? frame), hex(step.becomes ?? frame));
      if (step.becomes !== undefined) continue;
      const header = step.header === undefined ? step.frame.subarray(0, 12) : unhex(step.header);
      assert.equal(hex(frame.subarray(0, 12)), hex(header));
      assert.equal(hex(frame.subarray(12)), hex(step.frame.subarray(12)));
    }
  });
}

test("B5: the vectors reach every reason, and names do not repeat", () => {
  const reached = new Set(VECTORS.flatMap(({ steps }) => steps.map((step) => step.reason)));
  assert.deepEqual(
    REASONS.filter((reason) => !reached.has(reason)),
    [],
  );
  assert.equal(new Set(VECTORS.map(({ name }) => name)).size, VECTORS.length);
});
