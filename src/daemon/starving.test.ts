// C9: which changes of a configuration are refused beside an IGMP querier.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { requireConfig } from "#config/load.ts";
import type { ClusterConfig } from "#config/schema.ts";
import { refuseStarving } from "./starving.ts";

const using = (peering: string, listed = "02:00:5e:00:00:01"): ClusterConfig =>
  requireConfig(
    `cluster: { name: small, interface: eth0 }
delivery: { method: unicast }
nodes: [{ name: a, id: 1, address: 10.0.0.1, mac: "${listed}" }, { name: b, id: 2, address: 10.0.0.2 }]
groups: [{ name: web, services: ["tcp 10.0.0.100:80"] }]
peering: { primary: 10.0.0.100, ${peering} }
`,
    "test",
  );

test("C9: beside a querier a change to MACs of groups is refused, with what to do; any other is not", () => {
  const masked = using("mac: masked");
  const heard = { igmp: ip("10.0.0.254") };
  const starving = [
    using("mac: multicast"),
    using("mac: shared"),
    using("mac: table", "03:00:5e:00:00:01"),
  ];
  for (const next of starving) {
    assert.throws(() => refuseStarving(masked, next, heard), {
      code: "PAN_CONFLICT",
      message: /^10\.0\.0\.254 \(IGMP\) asks for groups .*router ports, .*--force/,
    });
    refuseStarving(masked, next, {});
    refuseStarving(next, using("mac: multicast"), heard); // it works already
    refuseStarving(next, masked, heard);
  }
  refuseStarving(masked, using("mac: table"), heard);
  refuseStarving(masked, using('mac: shared, sharedMac: "02:00:5e:00:00:09"'), heard);
});

test("C9: beside a querier of MLD it is IPv6 that members would lose", () => {
  const heard = { mld: ip("fe80::1") };
  assert.throws(() => refuseStarving(using("mac: masked"), using("mac: multicast"), heard), {
    code: "PAN_CONFLICT",
    message: /^fe80::1 \(MLD\) asks for groups .* drops members' IPv6 frames/,
  });
});
