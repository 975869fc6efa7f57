// A4, B8: what a configuration file may say, and how everything else is refused, at its line.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { PanError } from "#base/error-codes.ts";
import { canonicalConfig } from "./config.ts";
import { formatProblem, loadConfig, requireConfig } from "./load.ts";
import type { ClusterConfig } from "./schema.ts";

const HEAD = "cluster: { name: demo, interface: eth0 }\n";
const NODES =
  "nodes: [{ name: m1, id: 1, address: 10.0.0.1 }, { name: m2, id: 2, address: 10.0.0.2 }]\n";

/** "line:column path: message" of every problem. */
function problems(text: string): string[] {
  const loaded = loadConfig(text, "c.yaml");
  return loaded.ok
    ? []
    : loaded.problems.map(
        ({ line, column, path, message }) => `${line}:${column} ${path}: ${message}`,
      );
}

function accept(text: string): ClusterConfig {
  const loaded = loadConfig(text, "c.yaml");
  assert.ok(loaded.ok, problems(text).join("\n"));
  return loaded.config;
}

test("B8: the example is valid, and reads as written", () => {
  const file = new URL("../../examples/cluster.yaml", import.meta.url);
  const config = accept(readFileSync(file, "utf8"));
  assert.equal(config.nodes.length, 3);
  assert.deepEqual(config.nodes[2], {
    name: "m3",
    id: 3,
    address: "10.77.0.13",
    interface: "enp3s0",
    drained: false,
  });
  assert.deepEqual(config.groups[2]?.services, [
    { protocol: "tcp", vip: "10.77.0.101", port: "any" },
  ]);
});

test("B8: defaults are filled in, also for keys whose items are all commented out", () => {
  const config = accept(`${HEAD}vips:\n  # - 10.0.0.9\ngroups: [{ name: web }]\n`);
  assert.deepEqual(config, {
    cluster: { name: "demo", interface: "eth0", port: 7450 },
    detection: { intervalMs: 200, offerMs: 100 },
    applications: { voteMs: 2000, unanswered: "accept" },
    datapath: { hook: "auto", slotCapacity: 262_144 },
    delivery: { method: "forward" },
    hash: "keyed",
    nodes: [],
    groups: [
      {
        name: "web",
        policy: "weighted",
        slots: 1024,
        assignment: "eager",
        balance: "weights",
        udpIdleTimeoutMs: 0,
        nodes: "all",
        services: [],
      },
    ],
    vips: [],
    revoked: [],
  });
});

test("A16: which of two goes on: the default says the same as nothing", () => {
  assert.equal(accept(`${HEAD}sessions: { splitOfTwo: both }\n`).sessions, undefined);
  const lowest = accept(`${HEAD}sessions: { splitOfTwo: lowest }\n`);
  assert.deepEqual(lowest.sessions, { splitOfTwo: "lowest" });
  assert.deepEqual(accept(canonicalConfig(lowest)), lowest);
  assert.match(problems(`${HEAD}sessions: { splitOfTwo: neither }\n`)[0] ?? "", /both.*lowest/);
});

test("B8: addresses, services and serial numbers come out in canonical form", () => {
  const text =
    "groups: [{ name: web, services: ['TCP [FD77::0100]:80'] }]\n" +
    "vips: ['FD77:0::9']\nrevoked: ['00AB']\n";
  const config = accept(HEAD + text);
  assert.deepEqual(config.groups[0]?.services, [{ protocol: "tcp", vip: "fd77::100", port: 80 }]);
  assert.deepEqual(config.vips, ["fd77::9"]);
  assert.deepEqual(config.revoked, ["ab"]);
});

test("every problem of a file is reported at once, each with line and column", () => {
  const text = [
    "cluster:",
    "  name: demo",
    "  prot: 7451",
    "nodes:",
    "  - { name: m1, id: 1, address: 10.0.0.1 }",
    "  - { name: m1, id: 1, address: 10.0.0.1 } # again",
    "  - { name: 3, id: 4096, address: 10.0.0 }",
    "groups:",
    "  - name: web",
    "    slots: 1000",
    "    policy: sticki",
    "    nodes: [{ name: m9, weight: 1001 }]",
    "    services: ['tcp 10.0.0.1:80', 'tcp 10.0.0.9:0']",
    "  - name: web",
    "    services: ['tcp 10.0.0.8:*']",
    "",
  ].join("\n");
  const found = problems(text);
  const expected: RegExp[] = [
    /^2:3 cluster: "interface" is missing\. /,
    /^3:3 cluster\.prot: unknown key "prot"\. Did you mean "port"\?$/,
    /^6:13 nodes\[1\]\.name: .*m1 is used twice \(first in line 5\)$/,
    /^6:21 nodes\[1\]\.id: .* 1 is used twice \(first in line 5\)$/,
    /^6:33 nodes\[1\]\.address: .*10\.0\.0\.1 is used twice \(first in line 5\)$/,
    /^7:13 nodes\[2\]\.name: 3 .* put it in quotes$/,
    /^7:20 nodes\[2\]\.id: 4096 is not an integer 1 to 4095$/,
    /^7:35 nodes\[2\]\.address: "10\.0\.0": not an IPv4 or IPv6 address/,
    /^10:12 groups\[0\]\.slots: 1000 is not a power of two; use 512 or 1024$/,
    /^11:13 groups\[0\]\.policy: .*Did you mean "sticky"\?$/,
    /^12:21 groups\[0\]\.nodes\[0\]\.name: there is no node "m9"\. Did you mean "m1"\?$/,
    /^12:33 groups\[0\]\.nodes\[0\]\.weight: 1001 is not an integer 0 to 1000$/,
    /^13:16 groups\[0\]\.services\[0\]: 10\.0\.0\.1 is a node's own address;.*\(first in line \d\)$/,
    /^13:35 groups\[0\]\.services\[1\]: .*port "0" is not 1 to 65535/,
    /^14:11 groups\[1\]\.name: .*web is used twice \(first in line 9\)$/,
    /^15:16 groups\[1\]\.services\[0\]: any port .* make the group's policy wildcard-sticky$/,
  ];
  assert.equal(found.length, expected.length, found.join("\n"));
  expected.forEach((pattern, index) => assert.match(found[index] ?? "", pattern));
});

test("B8: what single keys refuse", () => {
  const cases: [string, RegExp][] = [
    ["", /^1:1 the configuration: .* it needs the keys .*cluster.*pan config docs/],
    ["[]", /^1:1 the configuration: a list stands where a mapping/],
    ["cluster: 3", /^1:10 cluster: 3 stands where a mapping/],
    ["cluster: { name: Demo, interface: eth0 }", /lower-case letters/],
    ["cluster: { name: demo, interface: eth0, port: 70000 }", /70000 is not an integer 1 to 65535/],
    ["cluster: { name: demo, interface: eth0, port: 1.5 }", /1\.5 is not an integer/],
    ["cluster: { name: demo, interface: eth0, ca: abc }", /pan ca init/],
    ["cluster: { name: demo, interface: 0123456789abcdef }", /at most 15/],
    [
      "cluster: { name: demo, interface: eth0, arms: [eth1, eth0] }",
      /cluster\.arms\[1\]: eth0 is used twice; interface, arms and paths are different interfaces/,
    ],
    [
      "cluster: { name: demo, interface: eth0 }\nnodes: [{ name: m1, id: 1, address: 10.0.0.1, arms: [ens4, ens4] }]",
      /nodes\[0\]\.arms\[1\]: ens4 is used twice/,
    ],
    [`${HEAD}detection: { intervalMs: 0 }`, /20 to 60000/],
    [`${HEAD}datapath: { hook: xpd }`, /Did you mean "xdp"/],
    [`${HEAD}nodes: m1`, /where a list is expected/],
    [`${HEAD}nodes: [{ name: m1, id: 1, address: 10.0.0.1, drained: 1 }]`, /true nor false/],
    [
      `${HEAD}nodes:\n  - name: m1\n    id: 1\n    address: "fd77::11"`,
      /^5:14 nodes\[0\]\.address: fd77::11 is IPv6, .* give the machine an IPv4 address/,
    ],
    [
      `cluster: { name: a, interface: eth0, arms: [eth1], paths: [eth2, eth1] }`,
      /cluster\.paths\[1\]: eth1 is used twice/,
    ],
    [
      `cluster: { name: a, interface: eth0, arms: [a, b, c, d], paths: [e, f, g, h] }`,
      /8 arms and paths; at most 7 in all/,
    ],
    [
      `cluster: { name: a, interface: eth0, paths: [eth1] }\nnodes: [{ name: n, id: 1, address: 10.0.0.1, interface: eth1 }]`,
      /eth1 is used twice/,
    ],
    [`${HEAD}groups: [{ name: web, nodes: some }]`, /"some" is neither all nor a list/],
    [`${HEAD}groups: [{ name: web, nodes: [] }]`, /the list is empty/],
    [`${HEAD}groups: [{ name: web, slots: 131072 }]`, /2 to 65536/],
    [`${HEAD}groups: [{ name: web, slots: 1 }]`, /2 to 65536/],
    [`${HEAD}groups: [{ name: web, service: [] }]`, /Did you mean "services"/],
    [`${HEAD}revoked: [1234]`, /put it in quotes/],
    [`${HEAD}nonsense: 1`, /^2:1 nonsense: unknown key "nonsense"\. Known here: cluster,/],
  ];
  for (const [text, words] of cases) {
    const found = problems(text);
    assert.ok(found.length > 0, `accepted: ${text}`);
    assert.match(found.join("\n"), words);
  }
});

test("B1, B3: what contradicts itself is refused", () => {
  const two = `${HEAD}${NODES}`;
  const cases: [string, RegExp][] = [
    // one service, two groups
    [
      "groups: [{ name: a, services: ['tcp 10.0.0.9:80'] }, { name: b, services: ['tcp 10.0.0.9:80'] }]",
      /groups\[1\]\.services\[0\]: the service tcp 10\.0\.0\.9:80 is used twice/,
    ],
    // A22
    [
      "delivery: { method: unicast }\ngroups: [{ name: a, policy: routed }, { name: b, policy: routed-symmetric }]\nvips: ['10.0.0.100']",
      /groups\[1\]\.policy: two groups are routed; remove one .*\(first in line 4\)/,
    ],
    [
      "delivery: { method: unicast }\ngroups: [{ name: a, policy: routed, services: ['tcp 10.0.0.9:80'] }]",
      /groups\[0\]\.services: a group with the policy routed has no services: .*group of their own/,
    ],
    [
      "groups: [{ name: a, policy: routed-symmetric }]\nvips: ['10.0.0.100']",
      /groups\[0\]\.policy: .*method forward; set delivery\.method to unicast, multicast or igmp/,
    ],
    [
      "delivery: { method: unicast }\ngroups: [{ name: a, policy: routed }]",
      /groups\[0\]\.policy: .*made from a virtual address, and there is none: name under vips /,
    ],
    [
      "delivery: { method: unicast }\ngroups: [{ name: a, policy: routed, assignment: lazy }]\nvips: ['10.0.0.100']",
      /groups\[0\]\.assignment: lazy does not go with the policy routed: .*set it to eager/,
    ],
    [
      "delivery: { method: igmp }\ngroups: [{ name: a, policy: routed-symmetric, assignment: lazy }]\nvips: ['10.0.0.100']",
      /groups\[0\]\.assignment: lazy .* routed-symmetric: .*set it to eager/,
    ],
    ["delivery: { method: multicats }", /delivery\.method: .*Did you mean "multicast"/],
    ["hash: md5", /hash: "md5" is not one of keyed, xor/],
    // equal although spelt differently
    [
      "groups: [{ name: a, services: ['any FD00:0::1', 'any fd00::1'] }]",
      /services\[1\].*used twice/,
    ],
    [
      "groups: [{ name: a, services: ['tcp [fd00::1]:80', 'TCP [FD00:0::1]:80'] }]",
      /services\[1\].*used twice/,
    ],
    ["groups: [{ name: a, nodes: [{ name: m1, weight: 0 }] }]", /every weight is 0/],
    [
      "groups: [{ name: a, nodes: [{ name: m1 }, { name: m1, weight: 2 }] }]",
      /group a: the node m1 is used twice/,
    ],
    ["groups: [{ name: a, nodes: [{ name: m3 }] }]", /no node "m3"/],
    ["datapath: { slotCapacity: 1000 }\ngroups: [{ name: a }]", /raise slotCapacity/],
    ["vips: [10.0.0.9, 10.0.0.9]", /vips\[1\]: the virtual address .* used twice/],
    ["vips: [10.0.0.2]", /own address/],
    ["vips: [127.0.0.1]", /loopback/],
    ["vips: ['::1']", /loopback/],
    ["vips: ['::']", /unspecified/],
    ["vips: [0.0.0.0]", /unspecified/],
    ["vips: [224.0.0.18]", /multicast/],
    ["vips: ['ff02::1']", /multicast/],
    ["vips: [255.255.255.255]", /unspecified/],
    ["vips: [250.0.0.1]", /reserved/],
    ["vips: ['::ffff:10.0.0.9']", /IPv4-mapped/],
    ["revoked: ['ab', '00AB']", /revoked\[1\].*used twice/],
  ];
  for (const [text, words] of cases) {
    const found = problems(`${two}${text}\n`);
    assert.equal(found.length, 1, `${text}: ${found.join("\n")}`);
    assert.match(found[0] ?? "", words);
  }
  const crowd = Array.from(
    { length: 3 },
    (_, i) => `{ name: n${i}, id: ${i + 1}, address: 10.0.0.${i + 1} }`,
  );
  assert.match(
    problems(`${HEAD}nodes: [${crowd.join(", ")}]\ngroups: [{ name: a, slots: 2 }]`).join("\n"),
    /3 nodes share 2 slots; raise slots to at least 3/,
  );
});

test("B2: one virtual address may have ports in one group and any port in another, in both families", () => {
  const config = accept(
    `${HEAD}groups:\n  - { name: a, services: ['tcp 10.0.0.9:80', 'udp 10.0.0.9:80', 'tcp [fd00::9]:80'] }\n` +
      "  - { name: b, policy: wildcard-sticky, services: ['tcp 10.0.0.9:*', 'tcp [fd00::9]:*'] }\n" +
      "vips: [10.0.0.9]\n",
  );
  assert.equal(config.groups.length, 2);
});

test("A14: an address may have services and one for all the rest, with every policy that has services", () => {
  for (const policy of ["weighted", "sticky", "wildcard-sticky"]) {
    const group = `{ name: a, policy: ${policy}, services: ['tcp 10.0.0.9:80', 'any 10.0.0.9'] }`;
    assert.deepEqual(accept(`${HEAD}groups: [${group}]\n`).groups[0]?.services[1], {
      protocol: "any",
      vip: "10.0.0.9",
      port: "any",
    });
  }
});

test("A14: the policy quic is for services of UDP with a port each", () => {
  const group = (service: string): string =>
    `${HEAD}groups: [{ name: a, policy: quic, services: ['${service}'] }]\n`;
  assert.equal(accept(group("udp 10.0.0.9:443")).groups[0]?.policy, "quic");
  for (const service of ["tcp 10.0.0.9:443", "any 10.0.0.9"]) {
    assert.match(problems(group(service)).join(), /the policy quic is for services of UDP/);
  }
  assert.match(problems(group("udp 10.0.0.9:*")).join(), /does not go with the policy quic/);
});

test("limits: more nodes, services or revocations than stated are refused, not cut", () => {
  const list = (count: number, entry: (i: number) => string): string =>
    Array.from({ length: count }, (_, i) => entry(i)).join("\n");
  const serials = `${HEAD}revoked:\n${list(4097, (i) => `  - "a${i}"`)}\n`;
  assert.match(problems(serials).join(), /4097 entries; at most 4096/);
  const services = (group: string, count: number): string =>
    `  - name: ${group}\n    services:\n${list(count, (i) => `      - "tcp 10.0.${group === "a" ? 8 : 9}.1:${i + 1}"`)}\n`;
  const many = `${HEAD}groups:\n${services("a", 10_000)}${services("b", 10_000)}`;
  assert.match(problems(many).join(), /20000 services in all groups; at most 16384/);
  assert.match(problems(`#${"x".repeat(4 * 1024 * 1024)}`).join(), /at most 4194304/);
});

test("limits: a file full of mistakes is reported up to a limit, and says so", () => {
  const names = Array.from({ length: 300 }, (_, i) => `{ name: x${i} }`).join(", ");
  const found = problems(`${HEAD}${NODES}groups: [{ name: a, slots: 512, nodes: [${names}] }]\n`);
  assert.equal(found.length, 201);
  assert.match(found.join("\n"), /more than 200 problems; the rest is left out/);
});

test("B8: a small group takes a whole word of slots", () => {
  const text = `${HEAD}datapath: { slotCapacity: 4 }\ngroups: [{ name: a, slots: 2 }, { name: b, slots: 2 }]\n`;
  assert.match(problems(text).join(), /the groups have 8 slots, but room is for 4/);
});

test("text that is not YAML is reported with its line, and nothing throws whatever the text", () => {
  assert.match(problems("cluster:\n  name: [demo\n").join("\n"), /^3:1 YAML: /);
  assert.match(problems("cluster: 1\ncluster: 2\n").join("\n"), /^2:1 YAML: .*unique/);
  assert.match(problems("cluster: !x { name: demo }\n").join("\n"), /^1:10 YAML: .*tag/);
  assert.match(problems("a: 1\n---\nb: 2\n").join("\n"), /YAML: .*multiple documents/);
  const bomb = `a: &a [x, x]\n${Array.from({ length: 30 }, (_, i) => `k${i}: &k${i} [${i === 0 ? "*a, *a" : `*k${i - 1}, *k${i - 1}`}]`).join("\n")}\n`;
  assert.match(problems(bomb).join("\n"), /cannot be resolved: .*alias/);
  fc.assert(fc.property(fc.string(), (text) => Array.isArray(problems(text))));
  fc.assert(
    fc.property(fc.jsonValue(), (value) => !loadConfig(JSON.stringify(value), "c.yaml").ok),
  );
});

test("requireConfig gives PAN_CONFIG_INVALID with one line per problem", () => {
  const text = "cluster: { name: demo, interface: eth0 }\nx: 1\ny: 2\n";
  assert.throws(
    () => requireConfig(text, "c.yaml"),
    (error) =>
      error instanceof PanError &&
      error.code === "PAN_CONFIG_INVALID" &&
      /^c\.yaml has 2 problems:\n {2}c\.yaml:2:1: x: .*\n {2}c\.yaml:3:1: y: /.test(error.message),
  );
  const loaded = loadConfig(text, "c.yaml");
  assert.ok(!loaded.ok);
  assert.match(formatProblem(loaded.problems[0] ?? assert.fail()), /^c\.yaml:2:1: x: unknown key/);
});
