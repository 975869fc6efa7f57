// B11: nodes beyond the segment in a configuration: what goes together and what does not.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalConfig } from "./config.ts";
import { loadConfig, requireConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

const file = (far: string, more = ""): string => `cluster: { name: demo, interface: eth0 }
nodes:
  - { name: a, id: 1, address: 10.0.0.1 }
  - { name: b, id: 2, address: 10.9.0.2${far} }
groups:
  - { name: web, services: ["tcp 10.0.0.100:80"] }
${more}`;

function complaints(far: string, more = ""): string[] {
  const loaded = loadConfig(file(far, more), "the file");
  return loaded.ok ? [] : loaded.problems.map(({ message }) => message);
}

test("B11: direct is what a node is that says nothing; another delivery is kept, and written again", () => {
  const [plain, direct] = ["", ", delivery: direct"].map((far) => requireConfig(file(far), "file"));
  assert.ok(plain !== undefined && direct !== undefined);
  assert.equal(canonicalConfig(plain), canonicalConfig(direct));
  const far = requireConfig(file(", delivery: geneve, pathMtu: 1400, clampMss: true"), "file");
  assert.deepEqual(
    far.nodes.map(({ delivery, pathMtu, clampMss }) => [delivery, pathMtu, clampMss]),
    [
      [undefined, undefined, undefined],
      ["geneve", 1400, true],
    ],
  );
  assert.deepEqual(requireConfig(renderConfig(far), "file"), far);
});

for (const [what, far, more, message] of [
  ["an unknown way", ", delivery: gre", "", /gre/],
  ["a path that carries no IPv6", ", delivery: ipip, pathMtu: 1300", "", /1324/],
  ["a path MTU of a node on the segment", ", pathMtu: 1400", "", /on the segment/],
  [
    "a method by which all receive",
    ", delivery: ipip",
    "delivery: { method: multicast }\n",
    /set it to forward/,
  ],
  [
    "one MAC for all",
    ", delivery: ipip",
    "delivery: { method: unicast }\npeering: { primary: 10.0.0.100 }\n",
    /not with peering/,
  ],
  [
    "a VIP of its own",
    ", delivery: ipip",
    "interfaceNodes: { nodes: [{ name: b }] }\n",
    /b is beyond/,
  ],
  [
    "a VIP by rank",
    ", delivery: ipip",
    "interfaceNodes: { ranked: [{ vip: 10.0.0.100, nodes: [a, b] }] }\n",
    /b is beyond/,
  ],
] as const) {
  test(`B11: refused for a node beyond the segment: ${what}`, () => {
    const found = complaints(far, more);
    assert.ok(
      found.some((text) => message.test(text)),
      found.join("; "),
    );
  });
}

test("B11: somebody has to be on the segment", () => {
  const all = file(", delivery: ipip").replace("10.0.0.1 }", "10.0.0.1, delivery: ipip }");
  const loaded = loadConfig(all, "the file");
  assert.ok(
    !loaded.ok && loaded.problems.some(({ message }) => /nobody can be master/.test(message)),
  );
});
