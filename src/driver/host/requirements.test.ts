// What can be judged without a host: capability sets and kernel releases. The rest is in test/kernel.
import assert from "node:assert/strict";
import { test } from "node:test";
import { isAtLeast, parseRelease } from "./kernel-release.ts";
import { unmetCapabilities } from "./requirements.ts";

const status = (effective: string): string => `Name:\tnode\nCapEff:\t${effective}\nCapBnd:\t0\n`;

test("capabilities: root has all, three are enough, each missing one is named", () => {
  assert.deepEqual(unmetCapabilities(status("000001ffffffffff")), []);
  assert.deepEqual(unmetCapabilities(status("0000008000003000")), []);
  const [unmet] = unmetCapabilities(status("0000000000001000"));
  assert.equal(unmet?.code, "PAN_NOT_ROOT");
  assert.equal(unmet.missing, "The agent lacks CAP_NET_RAW, CAP_BPF");
  assert.equal(unmetCapabilities("").length, 1);
});

test("kernel releases are compared as numbers", () => {
  const debian = parseRelease("5.15.0-91-generic");
  assert.deepEqual(debian, { major: 5, minor: 15 });
  assert.ok(isAtLeast(debian, 5, 15));
  assert.ok(isAtLeast(debian, 4, 19));
  assert.ok(!isAtLeast(debian, 5, 18));
  assert.ok(!isAtLeast(debian, 6, 1));
  assert.equal(parseRelease("generic"), undefined);
});
