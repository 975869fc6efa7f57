// B10: the section interfaceNodes in files, and what commands make of it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { canonicalConfig } from "./config.ts";
import { moveVip, releaseVip } from "./edits.ts";
import { loadConfig, requireConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const BASE = `cluster: { name: demo, interface: eth0 }
nodes:
  - { name: a, id: 1, address: 10.0.0.1 }
  - { name: b, id: 2, address: 10.0.0.2 }
  - { name: c, id: 3, address: 10.0.0.3 }
groups:
  - { name: web, services: ["tcp 10.0.0.100:80"] }
vips: [10.0.0.101]
`;
const VIP = ip("10.0.0.100");
const load = (section: string) => requireConfig(`${BASE}${section}`, "the file");

/** What is wrong with the section, without places. */
function complaints(section: string): string[] {
  const loaded = loadConfig(`${BASE}${section}`, "the file");
  return loaded.ok ? [] : loaded.problems.map(({ message }) => message);
}

const refused = (pattern: RegExp) => (error: unknown) =>
  error instanceof PanError && error.code === "PAN_CONFLICT" && pattern.test(error.message);

test("B10: without the section the master is the interface node of all; empty, all nodes share evenly", () => {
  assert.equal(load("").interfaceNodes, undefined);
  assert.deepEqual(load("interfaceNodes: {}\n").interfaceNodes, { nodes: "all", ranked: [] });
});

test("B10: that VIPs stay is kept by commands and written back; the default is not written", () => {
  const staying = load("interfaceNodes: { preempt: false }\n");
  assert.deepEqual(staying.interfaceNodes, { nodes: "all", preempt: false, ranked: [] });
  const moved = moveVip(staying, VIP, "b");
  assert.equal(moved.interfaceNodes?.preempt, false);
  assert.equal(releaseVip(moved, VIP).interfaceNodes?.preempt, false);
  assert.match(renderConfig(moved, BASE), /preempt: false/);
  const usual = load("interfaceNodes: { preempt: true }\n");
  assert.equal(canonicalConfig(usual), canonicalConfig(load("interfaceNodes: {}\n")));
});

test("B10: the order of a VIP's nodes is the meaning, that of the lists is not", () => {
  const ranked = (first: string, second: string): string =>
    canonicalConfig(load(`interfaceNodes: { ranked: [${first}, ${second}] }\n`));
  const [web, other] = ["{ vip: 10.0.0.100, nodes: [b, a] }", "{ vip: 10.0.0.101, nodes: [c] }"];
  assert.equal(ranked(web, other), ranked(other, web));
  assert.notEqual(ranked(web, other), ranked("{ vip: 10.0.0.100, nodes: [a, b] }", other));
});

test("B10: names that are no nodes, addresses that are no VIPs and repetitions are refused", () => {
  const cases: readonly (readonly [string, RegExp])[] = [
    ["nodes: [{ name: d }]", /there is no node "d"/],
    ["nodes: [{ name: a }, { name: a }]", /the node a is listed twice/],
    ["ranked: [{ vip: 10.0.0.100, nodes: [e] }]", /there is no node "e"/],
    ["ranked: [{ vip: 10.0.0.100, nodes: [a, a] }]", /the node a is listed twice/],
    ["ranked: [{ vip: 10.0.0.1, nodes: [a] }]", /10.0.0.1 is no virtual address of the cluster/],
    [
      "ranked: [{ vip: 10.0.0.100, nodes: [a] }, { vip: 10.0.0.100, nodes: [b] }]",
      /10.0.0.100 has two lists/,
    ],
  ];
  for (const [section, message] of cases) {
    const found = complaints(`interfaceNodes: { ${section} }\n`);
    assert.ok(
      found.some((text) => message.test(text)),
      `${section}: ${found.join("; ")}`,
    );
  }
});

test("B10: a move puts the node first, keeps who was there as its backup, and outlives a restart", () => {
  const text = `${BASE}interfaceNodes: {} # spread\n`;
  const once = moveVip(requireConfig(text, "the file"), VIP, "b");
  const twice = moveVip(once, VIP, "c");
  assert.deepEqual(twice.interfaceNodes?.ranked, [{ vip: VIP, nodes: ["c", "b"] }]);
  const again = moveVip(twice, VIP, "b");
  assert.deepEqual(again.interfaceNodes?.ranked, [{ vip: VIP, nodes: ["b", "c"] }]);
  let written = text;
  for (const config of [once, twice, again]) {
    written = renderConfig(config, written);
    assert.deepEqual(requireConfig(written, "the file").interfaceNodes, config.interfaceNodes);
  }
  assert.deepEqual(releaseVip(again, VIP).interfaceNodes?.ranked, []);
});

test("B10: moves that cannot be are refused, saying what to do", () => {
  const plain = load("");
  assert.throws(() => moveVip(plain, VIP, "b"), refused(/add the section interfaceNodes/));
  assert.throws(() => releaseVip(plain, VIP), refused(/add the section interfaceNodes/));
  const spread = load("interfaceNodes: {}\n");
  assert.throws(() => moveVip(spread, ip("10.0.0.9"), "b"), /no virtual address "10.0.0.9"/);
  assert.throws(() => moveVip(spread, VIP, "d"), /no node "d"/);
});
