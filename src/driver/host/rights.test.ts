// What can be judged of rights without giving up any: sets and names. The rest is in test/lab/agent-rights.test.ts.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canStartWithFewer, namesIn, NEEDED_TO_START, rightsIn, setOf } from "./rights.ts";

const ROOT = `Name:\tnode
CapInh:\t0000000000000000
CapPrm:\t000001ffffffffff
CapEff:\t000001ffffffffff
CapBnd:\t000001ffffffffff
CapAmb:\t0000000000000000
`;

test("capabilities: sets are read from a status file, and named", () => {
  const { effective, bounding, ambient } = rightsIn(ROOT);
  assert.equal(effective, 2n ** 41n - 1n);
  assert.equal(bounding, effective);
  assert.equal(ambient, 0n);
  assert.equal(setOf(["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]), 0x80_0000_3000n);
  assert.deepEqual(namesIn(0x80_0000_3000n), ["CAP_NET_ADMIN", "CAP_NET_RAW", "CAP_BPF"]);
});

test("capabilities: only root that has more than it needs, and may give it up, starts anew with fewer", () => {
  const root = rightsIn(ROOT);
  const enough = { ...root, bounding: setOf(NEEDED_TO_START) };
  const setpcap = setOf(["CAP_SETPCAP"]);
  assert.equal(canStartWithFewer(root, 0), true);
  assert.equal(canStartWithFewer(root, 1000), false, "an exec would take all of its rights");
  assert.equal(canStartWithFewer(enough, 0), false, "it has been done");
  assert.equal(canStartWithFewer({ ...root, effective: root.effective & ~setpcap }, 0), false);
});
