// Where what is for everyone goes, where some nodes are beyond the segment.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import type { AdmittedNode } from "#core/membership/protocol.ts";
import { everyoneOf } from "./heart-loop.ts";

const near = (id: number): AdmittedNode => ({
  id: nodeId(id),
  name: `n${id}`,
  address: ip(`10.0.0.${id}`),
});
const far = (id: number): AdmittedNode => ({ ...near(id), remote: true });

for (const [what, nodes, self, expected] of [
  ["all on the segment", [near(1), near(2)], 1, ["everyone"]],
  ["two beyond it", [near(1), far(2), far(3)], 1, ["everyone", "10.0.0.2", "10.0.0.3"]],
  ["from beyond it", [near(1), far(2), far(3)], 2, ["10.0.0.1", "10.0.0.3"]],
  ["alone", [near(1)], 1, ["everyone"]],
] as const) {
  test(`B11: a message for everyone, ${what}`, () => {
    assert.deepEqual(everyoneOf(nodes, nodeId(self)), expected);
  });
}
