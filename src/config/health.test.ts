// Health checks in the configuration: what is read, what is refused and how, and which files mean the same.
import assert from "node:assert/strict";
import { test } from "node:test";
import { canonicalConfig } from "./config.ts";
import * as edits from "./edits.ts";
import { loadConfig, requireConfig } from "./load.ts";
import { renderConfig } from "./render.ts";
import type { ClusterConfig } from "./schema.ts";

const HEAD = `cluster: { name: shop, interface: eth0 }
nodes: [{ name: m1, id: 1, address: 10.0.0.1 }, { name: m2, id: 2, address: 10.0.0.2 }]
`;
const group = (rest: string): string =>
  `${HEAD}groups: [{ name: web, services: ["tcp 10.0.0.9:80"], ${rest} }]\n`;
const read = (text: string): ClusterConfig => requireConfig(text, "test");

test("B7: a check needs no more than its type; times and counts have defaults", () => {
  const { health } = read(group("health: { checks: [{ type: tcp }] }")).groups[0] ?? {};
  assert.deepEqual(health, {
    checks: [{ type: "tcp" }],
    intervalMs: 2000,
    timeoutMs: 1000,
    rise: 2,
    fall: 3,
    slowStartMs: 0,
  });
});

test("B7: every key of every type of check is read as it is written", () => {
  const checks = [
    { type: "tcp", name: "a", target: "local", port: 81 },
    {
      type: "http",
      target: "node",
      path: "/ready?x=1",
      host: "shop.example:8080",
      status: "200,204",
    },
    { type: "https", target: "10.0.0.9", port: 443, body: "ok", verify: false },
    { type: "udp", port: 53, target: "local", send: "ping", expect: "pong" },
    { type: "script", command: ["/usr/local/bin/check", "--deep", "a b"] },
  ];
  const text = group(`health: { checks: ${JSON.stringify(checks)} }`);
  assert.deepEqual(read(text).groups[0]?.health?.checks, checks);
});

test("B7: what a check cannot be is refused with what to do", () => {
  const check = (text: string): string => `health: { checks: [{ ${text} }] }`;
  const cases: readonly (readonly [rest: string, message: RegExp])[] = [
    ["health: {}", /groups\[0\]\.health: "checks" is missing/],
    ["health: { checks: [] }", /health\.checks: the list is empty/],
    [check("type: ping"), /"ping" is not one of tcp, http, https, udp, script/],
    [
      check("type: tcp, path: /x"),
      /checks\[0\]\.path: a check of the type tcp has no "path"; it has target, port/,
    ],
    [check("type: http, verify: false"), /type http has no "verify"/],
    [check("type: http, status: 2xx"), /status: "2xx": not a list of HTTP statuses/],
    [check("type: http, status: 399-200"), /not a list of HTTP statuses/],
    [check("type: http, path: ready"), /path.*begins with a slash/],
    [check("type: tcp, target: m1"), /target: "m1": not vip, local, node or an IP address/],
    [check("type: tcp, port: 0"), /port: 0 is not an integer 1 to 65535/],
    [check("type: udp"), /the group has no udp service whose address a check could ask/],
    [
      check("type: udp, target: local"),
      /the group has no udp service with a port; give the check a port/,
    ],
    [check("type: script"), /"command" is missing/],
    [check("type: script, command: [check]"), /"check" is not a full path/],
    [
      "health: { checks: [{ type: tcp }, { type: tcp, port: 81 }] }",
      /the check tcp is there twice.*name of its own/,
    ],
    [
      "assignment: lazy, health: { slowStartMs: 5000, checks: [{ type: tcp }] }",
      /slow start does not go with the assignment lazy/,
    ],
    ["whenNone: sorry", /"sorry" is missing: the node that serves/],
    ["whenNone: drop, sorry: m1", /a sorry node counts only with whenNone: sorry/],
    ["whenNone: sorry, sorry: m9", /there is no node "m9"/],
    ["sorryPort: 8080", /sorryPort is the port of the sorry node; name that one, too/],
    [
      "whenNone: sorry, sorry: m1, sorryPort: 8080",
      /m1 serves the group itself[^]*datapath.hook to tc/,
    ],
    ["maintenance: [m9]", /there is no node "m9"/],
    ["whenNone: reply", /"reply" is not one of reset, drop, all, sorry/],
  ];
  for (const [rest, message] of cases) {
    const loaded = loadConfig(group(rest), "test");
    assert.equal(loaded.ok, false, rest);
    assert.match(
      loaded.problems.map(({ path, message: text }) => `${path}: ${text}`).join("\n"),
      message,
    );
  }
  const routed = `${HEAD}delivery: { method: unicast }\ngroups: [{ name: r, policy: routed, whenNone: reset }]\nvips: [10.0.0.200]\n`;
  const loaded = loadConfig(routed, "test");
  assert.match(
    loaded.ok ? "" : (loaded.problems[0]?.message ?? ""),
    /nothing answers them; leave whenNone out/,
  );
});

test("B3: failover takes any port, and its version depends on the order of its nodes; that of other policies does not", () => {
  const nodes = (policy: string, names: readonly string[]): string =>
    `${HEAD}groups: [{ name: web, policy: ${policy}, services: ["tcp 10.0.0.9:80"], nodes: [${names.map((name) => `{ name: ${name} }`).join()}] }]\n`;
  const canonical = (policy: string, ...names: string[]): string =>
    canonicalConfig(read(nodes(policy, names)));
  assert.notEqual(canonical("failover", "m1", "m2"), canonical("failover", "m2", "m1"));
  assert.equal(canonical("weighted", "m1", "m2"), canonical("weighted", "m2", "m1"));
  assert.ok(
    loadConfig(
      `${HEAD}groups: [{ name: a, policy: failover, services: ["tcp 10.0.0.9:*"] }]`,
      "test",
    ).ok,
  );
});

test("B7: what says the same as nothing has the same version", () => {
  const plain = canonicalConfig(read(group("slots: 8")));
  assert.equal(canonicalConfig(read(group("slots: 8, whenNone: reset, maintenance: []"))), plain);
  assert.notEqual(canonicalConfig(read(group("slots: 8, whenNone: drop"))), plain);
  assert.equal(
    canonicalConfig(read(group("slots: 8").replace("id: 1,", "id: 1, maintenance: false,"))),
    plain,
  );
});

test("B7: maintenance is set and taken back, for a node and for its instance of one group, and comments stay", () => {
  const text = `${group("slots: 8")}# the shop\n`;
  const start = read(text);
  const node = edits.setMaintenance(start, "m2", { on: true });
  assert.deepEqual(
    node.nodes.map(({ maintenance }) => maintenance),
    [undefined, true],
  );
  assert.equal(
    canonicalConfig(edits.setMaintenance(node, "m2", { on: false })),
    canonicalConfig(start),
  );
  const one = edits.setMaintenance(start, "m1", { on: true, group: "web" });
  const both = edits.setMaintenance(one, "m2", { on: true, group: "web" });
  assert.deepEqual(both.groups[0]?.maintenance, ["m1", "m2"]);
  const rendered = renderConfig(both, text);
  assert.match(rendered, /# the shop/);
  assert.equal(canonicalConfig(read(rendered)), canonicalConfig(both));
  const back = edits.setMaintenance(
    edits.setMaintenance(both, "m1", { on: false, group: "web" }),
    "m2",
    { on: false, group: "web" },
  );
  const withoutBlanks = (yaml: string): string => yaml.replaceAll(/\s/g, "");
  assert.equal(withoutBlanks(renderConfig(back, rendered)), withoutBlanks(text), "as it was");
  assert.throws(() => edits.setMaintenance(start, "m9", { on: true }), { code: "PAN_NOT_FOUND" });
  assert.throws(() => edits.setMaintenance(start, "m1", { on: true, group: "x" }), {
    code: "PAN_NOT_FOUND",
  });
});

test("B7: health checks outlive commands that edit the file", () => {
  const text = `${HEAD}groups:
  - name: web
    services: ["tcp 10.0.0.9:80"]
    health:
      # what the load balancer used to ask
      checks: [{ type: http, path: /ready }]
`;
  const changed = edits.setWeight(read(text), "web", "m2", 5);
  const rendered = renderConfig(changed, text);
  assert.match(
    rendered,
    /# what the load balancer used to ask\n +checks: \[ ?\{ type: http, path: \/ready \} ?\]/,
  );
  assert.equal(canonicalConfig(read(rendered)), canonicalConfig(changed));
});

test("B7: a drain's deadline comes with the drain and goes with it", () => {
  const start = read(group("slots: 8"));
  const drained = edits.setDrained(start, "m2", true, 60_000);
  assert.deepEqual(
    drained.nodes.map(({ drainDeadlineMs }) => drainDeadlineMs),
    [undefined, 60_000],
  );
  assert.equal(
    canonicalConfig(edits.setDrained(drained, "m2", true)),
    canonicalConfig(edits.setDrained(start, "m2", true)),
  );
  assert.equal(canonicalConfig(edits.setDrained(drained, "m2", false)), canonicalConfig(start));
  const lone = loadConfig(
    group("slots: 8").replace("id: 1,", "id: 1, drainDeadlineMs: 5,"),
    "test",
  );
  assert.match(
    lone.ok ? "" : (lone.problems[0]?.message ?? ""),
    /a deadline is for a node that is drained/,
  );
});
