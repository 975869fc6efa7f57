// Two versions of the tables are the same only when every field is.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, mac } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { sameContent } from "./same-content.ts";
import type { GroupTable, Tables } from "./tables.ts";

const [ONE, TWO] = [nodeId(1), nodeId(2)];
const VIP = ip("10.77.0.100");

const group = (changed: Partial<GroupTable> = {}): GroupTable => ({
  ...{ name: "web", policy: "weighted", holds: false, udpIdleMs: 0 },
  services: [{ protocol: "tcp", vip: VIP, port: 80 }],
  owners: Uint16Array.of(1, 2),
  home: Uint16Array.of(1, 2),
  former: Uint16Array.of(2, 0, 0, 0, 0, 0),
  exceptions: { flows: ["a"], nodes: Uint16Array.of(1), slots: Uint16Array.of(1) },
  ...changed,
});

const tables = (changed: Partial<Tables> = {}): Tables => ({
  version: { epoch: 1, counter: 1, master: ONE },
  delivery: { method: "forward", primary: VIP },
  hash: "keyed",
  hashKey: [1, 2],
  nodes: [{ id: ONE, mac: mac("02:00:00:00:00:01") }],
  vips: [VIP],
  groups: [group()],
  ...changed,
});

/** Of every field, so that one that is added has to be added here, too. */
const OTHER_GROUPS: Record<keyof GroupTable, Partial<GroupTable>> = {
  name: { name: "other" },
  policy: { policy: "sticky" },
  services: { services: [{ protocol: "tcp", vip: VIP, port: 81 }] },
  owners: { owners: Uint16Array.of(1, 1) },
  former: { former: Uint16Array.of(2, 0, 0, 0, 1, 0) },
  holds: { holds: true },
  answer: { answer: "drop" },
  home: { home: Uint16Array.of(2, 1) },
  exceptions: {
    exceptions: { flows: ["b"], nodes: Uint16Array.of(1), slots: Uint16Array.of(1) },
  },
  udpIdleMs: { udpIdleMs: 1 },
  named: { named: [ONE] },
};

const OTHERS: Record<Exclude<keyof Tables, "version">, Partial<Tables>> = {
  delivery: { delivery: { method: "igmp", primary: VIP } },
  hash: { hash: "xor" },
  hashKey: { hashKey: [1, 3] },
  nodes: { nodes: [{ id: TWO, mac: mac("02:00:00:00:00:01") }] },
  vips: { vips: [VIP, ip("10.77.0.101")] },
  vipHolders: { vipHolders: { holders: [ONE], homes: [TWO] } },
  groups: { groups: [group(), group({ name: "second" })] },
};

test("B3: tables that differ in their version only say the same", () => {
  const later = tables({ version: { epoch: 1, counter: 2, master: TWO } });
  assert.equal(sameContent(tables(), later), true);
});

test("B3: tables that differ in any other field do not", () => {
  for (const [field, changed] of Object.entries(OTHERS)) {
    assert.equal(sameContent(tables(), tables(changed)), false, field);
  }
  for (const [field, changed] of Object.entries(OTHER_GROUPS)) {
    assert.equal(sameContent(tables(), tables({ groups: [group(changed)] })), false, field);
  }
  assert.equal(sameContent(tables(OTHERS.groups), tables()), false, "fewer groups");
  const placed = tables(OTHERS.vipHolders);
  const elsewhere = tables({ vipHolders: { holders: [TWO], homes: [TWO] } });
  assert.equal(sameContent(placed, elsewhere), false, "another interface node");
  assert.equal(sameContent(placed, tables({ ...OTHERS.vipHolders })), true);
});
