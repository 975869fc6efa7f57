// Whom a configuration trusts, and when it trusts somebody no longer.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { requireConfig } from "#config/load.ts";
import { eitherTrust, lostSomebody, refusalOf, requireListed, trustIn } from "./trust.ts";

const A = "{ name: a, id: 1, address: 10.0.0.1 }";
const B = "{ name: b, id: 2, address: 10.0.0.2 }";
const config = (...nodes: readonly string[]): ReturnType<typeof requireConfig> =>
  requireConfig(`cluster: { name: small, interface: eth0 }\nnodes: [${nodes.join()}]\n`, "test");
const b = { id: nodeId(2), name: "b", address: ip("10.0.0.2") };

test("A2: the control channel is for nodes of the configuration, by id, name and address", () => {
  const both = config(A, B);
  assert.equal(refusalOf(both, b, "10.0.0.2"), undefined);
  assert.equal(refusalOf(both, b, "10.0.0.9"), "wrong-address");
  assert.equal(refusalOf(config(A), b, "10.0.0.2"), "not-admitted");
  assert.equal(refusalOf(both, { ...b, id: nodeId(3) }, "10.0.0.2"), "not-admitted");
  assert.equal(refusalOf(both, { ...b, name: "c" }, "10.0.0.2"), "not-admitted");
  const moved = { ...b, address: ip("10.0.0.3") };
  assert.equal(refusalOf(both, moved, "10.0.0.3"), "not-admitted");
});

test("A2: a node that its configuration does not name may not go on", () => {
  requireListed(config(A, B), b);
  assert.throws(() => requireListed(config(A), b), { code: "PAN_NODE_REMOVED" });
  const renumbered = config(A, "{ name: b, id: 3, address: 10.0.0.2 }");
  assert.throws(() => requireListed(renumbered, b), { code: "PAN_NODE_REMOVED" });
});

test("A2: trust is lost when a node goes or a certificate is revoked, not when one is added", () => {
  const [one, both] = [trustIn(config(A), []), trustIn(config(A, B), [])];
  const revoking = trustIn(config(A, B), ["0A:0b"]);
  assert.equal(lostSomebody(both, both), false);
  assert.equal(lostSomebody(one, both), false);
  assert.equal(lostSomebody(both, one), true);
  assert.equal(lostSomebody(both, revoking), true);
  assert.equal(lostSomebody(revoking, both), false);
  assert.equal(lostSomebody(eitherTrust(one, both), one), true, "who was added since counts");
  assert.equal(lostSomebody(eitherTrust(revoking, both), revoking), true);
});
