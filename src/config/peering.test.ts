// The section `peering`: what it may say, what it must not, and that it survives being written again.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalConfig } from "./config.ts";
import { loadConfig } from "./load.ts";
import { renderConfig } from "./render.ts";

interface Written {
  readonly nodes?: readonly string[];
  readonly peering?: string;
  readonly method?: string;
}

const config = ({
  nodes = ["id: 1, address: 10.0.0.1", "id: 2, address: 10.0.0.2"],
  peering = "primary: 10.0.0.9",
  method = "unicast",
}: Written): string => `cluster: { name: demo, interface: eth0 }
delivery: { method: ${method} }
vips: [10.0.0.9, "fd00::9"]
peering: { ${peering} }
nodes:
${nodes.map((node, n) => `  - { name: n${n}, ${node} }`).join("\n")}
`;

function problems(written: Written): string {
  const result = loadConfig(config(written), "test");
  return result.ok
    ? ""
    : result.problems.map(({ path, message }) => `${path}: ${message}`).join("\n");
}

test("C1: without the section interfaces keep their MACs; with it, choices have defaults", () => {
  const result = loadConfig(config({}), "test");
  assert.ok(result.ok);
  assert.deepEqual(result.config.peering, {
    primary: "10.0.0.9",
    mac: "masked",
    rewrite: "responder",
    recognise: "mac",
    learnFromRequests: true,
    localResponder: false,
    sourceCheck: false,
  });
  const written = renderConfig(result.config, config({}));
  const again = loadConfig(written, "test");
  assert.ok(again.ok && canonicalConfig(again.config) === canonicalConfig(result.config));
});

test("C7, C8: who rewrites follows from the kind of dedicated MAC, unless it is chosen", () => {
  const kinds: readonly (readonly [peering: string, rewrite: string, mac?: string])[] = [
    ["mac: masked", "responder"],
    ["mac: multicast", "initiator"],
    ["mac: multicast, rewrite: responder", "responder"],
    ["mac: shared", "initiator"],
    ['mac: shared, sharedMac: "02:00:00:00:00:01"', "responder"],
    ["mac: table", "responder", "02:00:00:00:00:01"],
    ["mac: table", "initiator", "03:00:00:00:00:01"],
  ];
  for (const [section, rewrite, mac] of kinds) {
    const first = `id: 1, address: 10.0.0.1${mac === undefined ? "" : `, mac: "${mac}"`}`;
    const nodes = [first, "id: 2, address: 10.0.0.2"];
    const peering = `primary: 10.0.0.9, ${section}`;
    const result = loadConfig(config({ nodes, peering }), "test");
    assert.ok(result.ok);
    assert.equal(result.config.peering?.rewrite, rewrite, section);
  }
});

test("C12: nodes have addresses and MACs of their own, which are written as they were read", () => {
  const nodes = [
    'id: 1, address: 10.0.0.1, addresses: ["FD00:0::1"], mac: "02:00:00:00:00:01"',
    "id: 2, address: 10.0.0.2",
  ];
  const result = loadConfig(config({ nodes, peering: "primary: 10.0.0.9, mac: table" }), "test");
  assert.ok(result.ok);
  assert.deepEqual(result.config.nodes[0]?.addresses, ["fd00::1"]);
  assert.match(
    canonicalConfig(result.config),
    /"addresses":\["fd00::1"\].*"mac":"02:00:00:00:00:01"/,
  );
});

test("C1, C14, C15: what cannot work is refused, with what to do", () => {
  const cases: readonly [Written, RegExp][] = [
    [{ method: "forward" }, /peering: members share one MAC .*set delivery\.method to unicast/],
    [{ peering: "primary: 10.0.0.8" }, /peering\.primary: 10\.0\.0\.8 is no virtual address/],
    [{ peering: "primary: 10.0.0.9, mac: maskd" }, /Did you mean "masked"/],
    [
      { peering: "primary: 10.0.0.9, sourceCheck: true" },
      /peering\.sourceCheck: .*set learnFromRequests to false/,
    ],
    [
      {
        peering:
          "primary: 10.0.0.9, sourceCheck: true, learnFromRequests: false, localResponder: true",
      },
      /set localResponder to false/,
    ],
    [
      { peering: 'primary: 10.0.0.9, sharedMac: "03:00:00:00:00:01"' },
      /peering\.sharedMac: sharedMac goes with mac: shared only/,
    ],
    [
      { peering: 'primary: 10.0.0.9, mac: shared, sharedMac: "02:bf:0a:00:00:09"' },
      /is a cluster MAC and cannot be a dedicated one/,
    ],
    [
      { peering: 'primary: 10.0.0.9, mac: shared, sharedMac: "02:00:01:00:00:09"' },
      /is the source of what node 1 sends to outsiders; use another one/,
    ],
    [
      { peering: 'primary: 10.0.0.9, mac: shared, sharedMac: "02:10:02:00:00:09"' },
      /is the masked MAC of node 2, by which members know it whatever the kind; use another one/,
    ],
    [
      { peering: 'primary: 10.0.0.9, mac: shared, sharedMac: "01:80:c2:00:00:00"' },
      /is for bridges themselves/,
    ],
    [
      { nodes: ['id: 1, address: 10.0.0.1, addresses: ["fe80::12"]'] },
      /nodes\[0\]\.addresses\[0\]: fe80::12 is link-local; leave it out/,
    ],
    [
      {
        nodes: ['id: 1, address: 10.0.0.1, addresses: ["10.0.0.2"]', "id: 2, address: 10.0.0.2"],
      },
      /nodes\[1\]\.address: the address 10\.0\.0\.2 is used twice/,
    ],
    [
      {
        peering: "primary: 10.0.0.9, mac: multicast",
        nodes: [
          'id: 1, address: 10.0.0.1, addresses: ["fd00::1:0:5"]',
          'id: 2, address: 10.0.0.2, addresses: ["fd00::5:0:1"]',
        ],
      },
      /nodes\[1\]\.addresses\[0\]: fd00::5:0:1 would have the same dedicated MAC .* as fd00::1:0:5/,
    ],
    [
      {
        peering: "primary: 10.0.0.9, mac: table",
        nodes: [
          'id: 1, address: 10.0.0.1, mac: "02:00:00:00:00:01"',
          'id: 2, address: 10.0.0.2, mac: "02:00:00:00:00:01"',
        ],
      },
      /nodes\[1\]\.mac: .*give one of them another mac/,
    ],
    [
      {
        peering: "primary: 10.0.0.9, mac: table",
        nodes: ['id: 1, address: 10.0.0.1, mac: "01:00:5e:00:00:01"'],
      },
      /is of an IP multicast group/,
    ],
    [
      { nodes: ["id: 1, address: 10.0.0.1, addresses: [10.0.0.9]"] },
      /addresses\[0\]: 10\.0\.0\.9 is a virtual address/,
    ],
    [
      { nodes: ["id: 1, address: 10.0.0.1", "id: 2, address: 10.0.0.2, addresses: [10.0.0.1]"] },
      /nodes\[1\]\.addresses\[0\]: the address 10\.0\.0\.1 is used twice/,
    ],
    [{ nodes: ["id: 1, address: 10.0.0.1, addresses: [127.0.0.1]"] }, /127\.0\.0\.1 is loopback/],
  ];
  for (const [written, words] of cases) assert.match(problems(written), words);
});

test("C14: one node's two addresses may have one MAC, and the masked kind never collides", () => {
  const nodes = [
    'id: 1, address: 10.0.0.1, addresses: ["fd00::1:0:5"]',
    'id: 2, address: 10.0.0.2, addresses: ["fd00::5:0:1"]',
  ];
  for (const kind of ["masked", "shared", "table"]) {
    assert.equal(problems({ nodes, peering: `primary: 10.0.0.9, mac: ${kind}` }), "");
  }
});
