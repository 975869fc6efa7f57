// B10: what operators see of virtual addresses.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { NO_NODE, nodeId } from "#base/ids.ts";
import { requireConfig } from "#config/load.ts";
import { viewOf } from "#core/node/testing/cluster.ts";
import type { Tables } from "#core/steering/tables.ts";
import { vipStatus } from "./vip-status.ts";

const [N1, N2, N3] = [nodeId(1), nodeId(2), nodeId(3)] as const;
const YAML = `cluster: { name: demo, interface: eth0 }
nodes:
  - { name: a, id: 1, address: 10.0.0.1 }
  - { name: b, id: 2, address: 10.0.0.2 }
  - { name: c, id: 3, address: 10.0.0.3, drained: true }
vips: [10.0.0.100, 10.0.0.101]
`;
const plain: Tables = {
  version: { epoch: 1, counter: 1, master: N1 },
  delivery: { method: "forward", primary: ip("10.0.0.100") },
  hash: "keyed",
  hashKey: [1, 2],
  nodes: [],
  vips: [ip("10.0.0.100"), ip("10.0.0.101")],
  groups: [],
};
const view = viewOf([N1, N2, N3]);
const nameOf = (id: number | undefined): string | undefined =>
  ["", "a", "b", "c"][id ?? 0] || undefined;

test("B10: by default the master has all, and the secondary is the backup of all", () => {
  const config = requireConfig(YAML, "the file");
  const each = { node: "a", backups: ["b"] };
  assert.deepEqual(vipStatus({ config, view, tables: plain, nameOf }), {
    spread: false,
    addresses: [
      { vip: "10.0.0.100", ...each },
      { vip: "10.0.0.101", ...each },
    ],
  });
});

test("B10: spread, each has its own interface node, home and backups; drained nodes are none", () => {
  const config = requireConfig(`${YAML}interfaceNodes: {}\n`, "the file");
  const tables = { ...plain, vipHolders: { holders: [N2, NO_NODE], homes: [N1, N3] } };
  assert.deepEqual(vipStatus({ config, view, tables, nameOf }), {
    spread: true,
    addresses: [
      { vip: "10.0.0.100", node: "b", home: "a", backups: ["a"] },
      { vip: "10.0.0.101", home: "c", backups: [] },
    ],
  });
});
