// Differences of two configurations, as an operator reads them.
import assert from "node:assert/strict";
import { test } from "node:test";
import { differencesOf } from "./differences.ts";
import { requireConfig } from "./load.ts";

const yamlOf = (rest: string): string => `cluster: { name: small, interface: eth0 }\n${rest}`;
const NODES =
  "nodes: [{ name: m1, id: 1, address: 10.0.0.1 }, { name: m2, id: 2, address: 10.0.0.2 }]\n";
const groups = (text: string): string => yamlOf(`${NODES}groups: [${text}]\n`);
const WEB = 'name: web, services: ["tcp 10.0.0.100:80"]';

const CASES: readonly [string, string, string, readonly string[]][] = [
  ["the same", yamlOf(NODES), yamlOf(NODES), []],
  [
    "a drain",
    yamlOf(NODES),
    yamlOf(NODES.replace("10.0.0.2 }", "10.0.0.2, drained: true }")),
    ["nodes.m2.drained: false → true"],
  ],
  [
    "a node that comes, in one line",
    yamlOf("nodes: [{ name: m1, id: 1, address: 10.0.0.1 }]"),
    yamlOf(NODES),
    ['nodes.m2: nothing → {"name":"m2","id":2,"address":"10.0.0.2","drained":false}'],
  ],
  [
    "order says nothing",
    yamlOf(NODES),
    yamlOf(
      "nodes: [{ name: m2, id: 2, address: 10.0.0.2 }, { name: m1, id: 1, address: 10.0.0.1 }]",
    ),
    [],
  ],
  [
    "weights and services of a group",
    groups(`{ ${WEB}, nodes: [{ name: m1 }, { name: m2 }] }`),
    groups(
      `{ name: web, services: ["tcp 10.0.0.100:443"], nodes: [{ name: m1, weight: 3 }, { name: m2 }] }`,
    ),
    [
      "groups.web.nodes.m1.weight: 1 → 3",
      "groups.web.services: removed tcp 10.0.0.100:80",
      "groups.web.services: added tcp 10.0.0.100:443",
    ],
  ],
  [
    "another kind of value",
    groups(`{ ${WEB} }`),
    groups(`{ ${WEB}, nodes: [{ name: m1 }] }`),
    ['groups.web.nodes: all → [{"name":"m1","weight":1}]'],
  ],
];

for (const [name, before, after, expected] of CASES) {
  test(`differences: ${name}`, () => {
    const [a, b] = [requireConfig(before, "before"), requireConfig(after, "after")];
    assert.deepEqual(differencesOf(a, b, 40), expected);
  });
}

test("differences: what is left out is counted, and a long value is cut", () => {
  const vips = (count: number): string =>
    yamlOf(`vips: [${Array.from({ length: count }, (_, i) => `10.1.0.${i + 1}`).join()}]`);
  const found = differencesOf(requireConfig(vips(0), "a"), requireConfig(vips(9), "b"), 4);
  assert.deepEqual(found.slice(1), ["vips: added 10.1.0.2", "vips: added 10.1.0.3", "and 6 more"]);
});
