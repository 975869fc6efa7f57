// What a node asks, given the configuration: address, port, source and content of each check.
import assert from "node:assert/strict";
import { test } from "node:test";
import { requireConfig } from "#config/load.ts";
import type { Probe } from "#driver/health/probe.ts";
import { nodeHealth } from "./health-spec.ts";

const SERVICES = `["udp 10.0.0.9:53", "tcp 10.0.0.8:8080", "tcp [fd00::9]:80"]`;

function probes(checks: string, more = "", services = SERVICES): (Probe | undefined)[] {
  const config = requireConfig(
    `cluster: { name: shop, interface: eth0 }
nodes: [{ name: m1, id: 1, address: 10.0.0.1 }, { name: m2, id: 2, address: 10.0.0.2 }]
groups: [{ name: web, services: ${services}, ${more} health: { checks: ${checks} } }]
`,
    "test",
  );
  const [self] = config.nodes;
  assert.ok(self);
  const { groups, probeOf } = nodeHealth(config, self);
  return groups.flatMap(({ checks: specs }) => specs.map(({ name }) => probeOf("web", name)));
}

test("B7: a check asks the VIP on the node's own loopback, 127.0.0.1, the dedicated address, or another one", () => {
  const source = "10.0.0.1";
  const named = (target: string, name: string): string =>
    `{ type: tcp, name: ${name}, target: "${target}" }`;
  const checks = [
    named("vip", "a"),
    named("local", "b"),
    named("node", "c"),
    named("10.0.0.77", "d"),
  ];
  assert.deepEqual(probes(`[${checks.join()}]`), [
    { type: "tcp", address: "10.0.0.8", port: 8080, source },
    { type: "tcp", address: "127.0.0.1", port: 8080 },
    { type: "tcp", address: source, port: 8080, source },
    { type: "tcp", address: "10.0.0.77", port: 8080, source },
  ]);
  assert.deepEqual(probes("[{ type: tcp }]", "", `["tcp [fd00::9]:80"]`), [
    { type: "tcp", address: "fd00::9", port: 80 },
  ]);
  assert.deepEqual(probes("[{ type: udp, send: x }, { type: tcp, port: 9 }]"), [
    { type: "udp", address: "10.0.0.9", port: 53, source, send: "x" },
    { type: "tcp", address: "10.0.0.8", port: 9, source },
  ]);
});

test("B7: http and https: path, host, statuses and text, with what is usual where nothing is said", () => {
  const usual = {
    type: "http",
    address: "10.0.0.8",
    port: 8080,
    source: "10.0.0.1",
    path: "/",
  } as const;
  const full =
    "{ type: https, path: /r, host: shop.example, status: '200,204', body: ok, verify: false }";
  assert.deepEqual(probes(`[{ type: http }, ${full}]`), [
    { ...usual, status: [{ from: 200, to: 399 }] },
    {
      ...usual,
      path: "/r",
      host: "shop.example",
      body: "ok",
      status: [
        { from: 200, to: 200 },
        { from: 204, to: 204 },
      ],
      tls: { verify: false },
    },
  ]);
  assert.deepEqual(probes("[{ type: https }]"), [
    { ...usual, status: [{ from: 200, to: 399 }], tls: { verify: true } },
  ]);
});

test("B7: a script gets its arguments as they are, and an environment of its own", () => {
  const [probe] = probes("[{ type: script, command: [/bin/check, 'a b'] }]");
  assert.ok(probe?.type === "script");
  assert.deepEqual(probe.command, ["/bin/check", "a b"]);
  const { PATH: _path, ...environment } = probe.environment;
  assert.deepEqual(environment, {
    LC_ALL: "C.UTF-8",
    PANOPLY_CLUSTER: "shop",
    PANOPLY_NODE: "m1",
    PANOPLY_GROUP: "web",
    PANOPLY_ADDRESS: "10.0.0.1",
    PANOPLY_SERVICES: "udp/10.0.0.9/53 tcp/10.0.0.8/8080 tcp/fd00::9/80",
  });
});

test("B7: a node checks nothing of a group that it may not serve, and nothing in maintenance", () => {
  assert.deepEqual(probes("[{ type: tcp }]", "nodes: [{ name: m2 }],"), []);
  assert.deepEqual(probes("[{ type: tcp }]", "maintenance: [m1],"), []);
  assert.equal(probes("[{ type: tcp }]", "maintenance: [m2],").length, 1);
});

test("A14: past the deadline of a drain, groups of QUIC are over, also those without checks, and no others", () => {
  const config = requireConfig(
    `cluster: { name: shop, interface: eth0 }
nodes: [{ name: m1, id: 1, address: 10.0.0.1, drained: true, drainDeadlineMs: 50 }]
groups:
  - { name: h3, policy: quic, services: ["udp 10.0.0.8:443"] }
  - { name: checked, policy: quic, services: ["udp 10.0.0.8:444"], health: { checks: [{ type: udp, send: x }] } }
  - { name: web, services: ["tcp 10.0.0.8:80"], health: { checks: [{ type: tcp }] } }
`,
    "test",
  );
  const [self] = config.nodes;
  assert.ok(self);
  const over = (isOver: boolean): string[] =>
    nodeHealth(config, self, isOver).groups.map((each) => `${each.name} ${each.over ?? "goes on"}`);
  assert.deepEqual(over(false), ["checked goes on", "web goes on"]);
  const reason = "the deadline of the drain is over";
  assert.deepEqual(over(true), [`h3 ${reason}`, `checked ${reason}`, "web goes on"]);
});
