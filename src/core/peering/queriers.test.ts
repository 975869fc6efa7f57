// For how long a querier counts, and what of it starves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { named, QuerierMemory, starved } from "./queriers.ts";

test("C9: a querier counts for 255 seconds after its last query (RFC 3376), and each one begins them anew", () => {
  const memory = new QuerierMemory();
  const [igmp, mld] = [ip("10.0.0.254"), ip("fe80::1")];
  assert.deepEqual(memory.at(0), {});
  memory.hear({ igmp }, 1000);
  memory.hear({ mld }, 200_000);
  assert.deepEqual(memory.at(255_999), { igmp, mld });
  assert.deepEqual(memory.at(256_000), { mld });
  memory.hear({}, 300_000);
  assert.deepEqual(memory.at(455_000), {});
  memory.hear({ igmp: ip("0.0.0.0") }, 500_000);
  assert.deepEqual(memory.at(500_000), { igmp: "0.0.0.0" });
});

test("C9: of which family members are starved follows from who asks", () => {
  const [igmp, mld] = [ip("10.0.0.254"), ip("fe80::1")];
  assert.equal(starved({}), "");
  assert.equal(starved({ igmp }), "IPv4");
  assert.equal(starved({ mld }), "IPv6");
  assert.equal(starved({ igmp, mld }), "IPv4 and IPv6");
  assert.equal(named({ igmp, mld }), "10.0.0.254 (IGMP) and fe80::1 (MLD)");
});
