// B3, B7, B8, A2: edits of a configuration, its canonical form (A4), and its file with the comments kept.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import fc from "fast-check";
import { ASSIGNMENTS, BALANCES } from "#base/assignment.ts";
import { ip, ipFromBytes } from "#base/address.ts";
import { type ErrorCode, PanError } from "#base/error-codes.ts";
import { nodeId } from "#base/ids.ts";
import { canonicalConfig, configVersion, virtualAddresses } from "./config.ts";
import * as edits from "./edits.ts";
import { requireConfig } from "./load.ts";
import { renderConfig } from "./render.ts";
import type { ClusterConfig, GroupConfig, Policy, Service } from "./schema.ts";

const EXAMPLE = readFileSync(new URL("../../examples/cluster.yaml", import.meta.url), "utf8");
const example = requireConfig(EXAMPLE, "example");
const http: Service = { protocol: "tcp", vip: ip("10.77.0.100"), port: 80 };
const web8080: Service = { protocol: "tcp", vip: ip("10.77.0.100"), port: 8080 };

const throwsPan = (code: ErrorCode, words: RegExp, act: () => unknown): void =>
  assert.throws(act, (error) => {
    assert.ok(error instanceof PanError, String(error));
    assert.equal(error.code, code);
    assert.match(error.message, words);
    return true;
  });

const groupOf = (config: ClusterConfig, name: string): GroupConfig =>
  config.groups.find((group) => group.name === name) ?? assert.fail(name);

test("B8: a service is added to and removed from a group, and the argument stays as it was", () => {
  const before = canonicalConfig(example);
  const added = edits.addService(example, "web", web8080);
  assert.deepEqual(groupOf(added, "web").services.at(-1), web8080);
  assert.equal(canonicalConfig(edits.removeService(added, web8080)), before);
  assert.equal(canonicalConfig(example), before);
});

test("B8: what contradicts the configuration is refused with the reason", () => {
  throwsPan("PAN_CONFLICT", /used twice/, () => edits.addService(example, "names", http));
  const own: Service = { protocol: "tcp", vip: ip("10.77.0.11"), port: 8080 };
  throwsPan("PAN_CONFLICT", /own address/, () => edits.addService(example, "web", own));
  const any: Service = { protocol: "udp", vip: ip("10.77.0.100"), port: "any" };
  throwsPan("PAN_CONFLICT", /wildcard-sticky/, () => edits.addService(example, "web", any));
  throwsPan("PAN_NOT_FOUND", /Did you mean "web"/, () => edits.addService(example, "wbe", http));
  throwsPan("PAN_NOT_FOUND", /no service "tcp 10\.77\.0\.100:8080"/, () =>
    edits.removeService(example, web8080),
  );
  throwsPan("PAN_CONFLICT", /group name web is used twice/, () =>
    edits.addGroup(example, { ...groupOf(example, "web"), services: [] }),
  );
  throwsPan("PAN_CONFLICT", /power of two/, () =>
    edits.addGroup(example, { ...groupOf(example, "web"), name: "w2", slots: 3, services: [] }),
  );
  throwsPan("PAN_NOT_FOUND", /service group/, () => edits.removeGroup(example, "none"));
});

test("B8: groups come and go at run time", () => {
  const bulk: GroupConfig = {
    name: "bulk",
    policy: "sticky",
    slots: 64,
    assignment: "lazy",
    balance: "bytes",
    udpIdleTimeoutMs: 30_000,
    nodes: [{ name: "m2", weight: 3 }],
    services: [web8080],
  };
  const added = edits.addGroup(example, bulk);
  assert.deepEqual(groupOf(added, "bulk"), bulk);
  assert.equal(canonicalConfig(edits.removeGroup(added, "bulk")), canonicalConfig(example));
});

test("B3: weights change; a group of all nodes becomes a list in which the others keep 1", () => {
  assert.deepEqual(groupOf(edits.setWeight(example, "web", "m2", 5), "web").nodes, [
    { name: "m1", weight: 1 },
    { name: "m2", weight: 5 },
    { name: "m3", weight: 1 },
  ]);
  const names = groupOf(edits.setWeight(example, "names", "m1", 7), "names").nodes;
  assert.deepEqual(names[0], { name: "m1", weight: 7 });
  throwsPan("PAN_CONFLICT", /0 to 1000/, () => edits.setWeight(example, "web", "m2", 1001));
  throwsPan("PAN_NOT_FOUND", /node "m4"/, () => edits.setWeight(example, "web", "m4", 1));
  const only = edits.setWeight(edits.setWeight(example, "names", "m2", 0), "names", "m1", 1);
  const last = edits.setWeight(only, "names", "m3", 0);
  throwsPan("PAN_CONFLICT", /every weight is 0/, () => edits.setWeight(last, "names", "m1", 0));
});

test("B7: draining is set and taken back", () => {
  const drained = edits.setDrained(example, "m2", true);
  assert.equal(drained.nodes[1]?.drained, true);
  assert.equal(canonicalConfig(edits.setDrained(drained, "m2", false)), canonicalConfig(example));
  throwsPan("PAN_NOT_FOUND", /m9/, () => edits.setDrained(example, "m9", true));
});

test("A13: the delivery method is changed, unless a routed group needs the one there is", () => {
  const flooded = edits.setDelivery(example, "multicast");
  assert.equal(flooded.delivery.method, "multicast");
  assert.equal(canonicalConfig(edits.setDelivery(flooded, "forward")), canonicalConfig(example));
  const gateway: GroupConfig = {
    name: "gateway",
    policy: "routed",
    slots: 1024,
    assignment: "eager",
    balance: "weights",
    udpIdleTimeoutMs: 0,
    nodes: "all",
    services: [],
  };
  throwsPan("PAN_CONFLICT", /does not go with the method forward; set delivery\.method/, () =>
    edits.addGroup(example, gateway),
  );
  const routed = edits.addGroup(flooded, gateway);
  assert.equal(edits.setDelivery(routed, "igmp").delivery.method, "igmp");
  throwsPan("PAN_CONFLICT", /forward/, () => edits.setDelivery(routed, "forward"));
});

test("A2: a new node gets the lowest free id; a taken name, id or address is refused", () => {
  const added = edits.addNode(example, { name: "m4", address: ip("10.77.0.14") });
  assert.deepEqual(added.nodes.at(-1), {
    name: "m4",
    id: 4,
    address: "10.77.0.14",
    drained: false,
  });
  const gap = { ...added, nodes: added.nodes.filter(({ name }) => name !== "m2") };
  assert.equal(edits.nextNodeId(gap), 2);
  const taken = (node: edits.NewNode): void =>
    throwsPan("PAN_NODE_EXISTS", /m1 \(id 1, address 10\.77\.0\.11\)/, () =>
      edits.addNode(example, node),
    );
  taken({ name: "m1", address: ip("10.77.0.99") });
  taken({ name: "m5", address: ip("10.77.0.11") });
  taken({ name: "m5", address: ip("10.77.0.99"), id: nodeId(1) });
  throwsPan("PAN_CONFLICT", /own address/, () =>
    edits.addNode(example, { name: "m5", address: ip("10.77.0.100") }),
  );
  throwsPan("PAN_CONFLICT", /lower-case/, () =>
    edits.addNode(example, { name: "M5", address: ip("10.77.0.99") }),
  );
});

test("A2: all node ids taken is said plainly", () => {
  const nodes = Array.from({ length: 4095 }, (_, index) => ({
    name: `n${index}`,
    id: nodeId(index + 1),
    address: ipFromBytes(Uint8Array.of(10, 1, index >> 8, index & 255)),
    drained: false,
  }));
  const full = { ...example, nodes, groups: [] };
  throwsPan("PAN_CONFLICT", /All 4095/, () => edits.nextNodeId(full));
});

test("A2: revoking twice is the same as once, in any spelling", () => {
  const once = edits.revoke(example, "00AB12");
  assert.deepEqual(once.revoked, ["ab12"]);
  assert.equal(edits.revoke(once, "ab12"), once);
  throwsPan("PAN_CONFLICT", /serial number/, () => edits.revoke(example, "xyz"));
});

test("A19: the CA is pinned once; another one is refused", () => {
  const mine = `sha256:${"a".repeat(64)}`;
  const pinned = edits.pinCa(example, mine);
  assert.equal(pinned.cluster.ca, mine);
  assert.equal(edits.pinCa(pinned, mine).cluster.ca, mine);
  throwsPan("PAN_CONFLICT", /names the CA/, () => edits.pinCa(pinned, `sha256:${"b".repeat(64)}`));
});

test("A4: the version depends on what the configuration means, not on how it is written", () => {
  const shuffled: ClusterConfig = {
    ...example,
    nodes: example.nodes.toReversed(),
    groups: example.groups.toReversed().map((group) => ({
      ...group,
      nodes: group.nodes === "all" ? "all" : group.nodes.toReversed(),
      services: group.services.toReversed(),
    })),
  };
  assert.equal(canonicalConfig(shuffled), canonicalConfig(example));
  const version = configVersion(3, example);
  assert.match(version.digest, /^[0-9a-f]{16}$/);
  assert.deepEqual(configVersion(3, shuffled), version);
  assert.notEqual(configVersion(3, edits.setDrained(example, "m1", true)).digest, version.digest);
});

test("A4: the digest is the first eight bytes of SHA-256 over the canonical text", () => {
  const config = requireConfig("cluster: { name: demo, interface: eth0 }\n", "c");
  assert.equal(
    canonicalConfig(config),
    '{"applications":{"unanswered":"accept","voteMs":2000},' +
      '"cluster":{"interface":"eth0","name":"demo","port":7450},' +
      '"datapath":{"hook":"auto","slotCapacity":262144},' +
      '"delivery":{"method":"forward"},"detection":{"intervalMs":200,"offerMs":100},"groups":[],' +
      '"hash":"keyed","nodes":[],"revoked":[],"vips":[]}',
  );
  // printf '%s' '<the text above>' | sha256sum
  assert.deepEqual(configVersion(1, config), { counter: 1, digest: "bcde1cb559f24cc0" });
});

test("A1: every virtual address once, IPv4 before IPv6", () => {
  assert.deepEqual(virtualAddresses(example), [
    "10.77.0.100",
    "10.77.0.101",
    "10.77.0.102",
    "fd77::100",
  ]);
});

/** Any valid configuration: three nodes, and groups whose services never collide. */
const configs: fc.Arbitrary<ClusterConfig> = fc
  .record({
    drained: fc.array(fc.boolean(), { minLength: 3, maxLength: 3 }),
    weights: fc.array(fc.integer({ min: 1, max: 1000 }), { minLength: 1, maxLength: 3 }),
    ports: fc.uniqueArray(fc.integer({ min: 1, max: 65_535 }), { maxLength: 8 }),
    policy: fc.constantFrom<Policy>("weighted", "sticky", "wildcard-sticky"),
    all: fc.boolean(),
    slots: fc.integer({ min: 2, max: 16 }).map((k) => 2 ** k),
    assignment: fc.constantFrom(...ASSIGNMENTS),
    balance: fc.constantFrom(...BALANCES),
    udpIdleTimeoutMs: fc.constantFrom(0, 30_000),
    revoked: fc.uniqueArray(fc.integer({ min: 1 }).map((value) => value.toString(16))),
  })
  .map(
    ({
      drained,
      weights,
      ports,
      policy,
      all,
      slots,
      assignment,
      balance,
      udpIdleTimeoutMs,
      revoked,
    }) => ({
      ...example,
      nodes: example.nodes.map((node, index) => ({ ...node, drained: drained[index] ?? false })),
      groups: [
        {
          name: "web",
          policy,
          slots,
          assignment,
          balance,
          udpIdleTimeoutMs,
          nodes: all ? "all" : weights.map((weight, index) => ({ name: `m${index + 1}`, weight })),
          services: ports.map((port): Service => ({ protocol: "udp", vip: ip("fd77::5"), port })),
        },
      ],
      revoked,
    }),
  );

test("A4: rendered and canonical text both read back as the same configuration", () => {
  fc.assert(
    fc.property(configs, configs, (config, other) => {
      const text = renderConfig(config);
      const canonical = canonicalConfig(config);
      assert.deepEqual(requireConfig(text, "r"), config);
      assert.equal(canonicalConfig(requireConfig(canonical, "c")), canonical);
      // from any configuration to any other by changing its file
      const edited = requireConfig(renderConfig(other, text), "e");
      assert.equal(canonicalConfig(edited), canonicalConfig(other));
      const annotated = requireConfig(renderConfig(config, EXAMPLE), "a");
      assert.equal(canonicalConfig(annotated), canonical);
    }),
    { numRuns: 50 },
  );
});

test("A2: adding a node changes the operator's file in one line only", () => {
  const added = edits.addNode(example, { name: "m4", address: ip("10.77.0.14") });
  const text = renderConfig(added, EXAMPLE);
  const fresh = text.split("\n").filter((line) => !EXAMPLE.split("\n").includes(line));
  assert.deepEqual(fresh, ["  - { name: m4, id: 4, address: 10.77.0.14, drained: false }"]);
  const lost = EXAMPLE.split("\n").filter((line) => !text.split("\n").includes(line));
  assert.deepEqual(lost, []);
});

test("B8: every edit keeps the operator's comments and leaves other lines alone", () => {
  const cases: [ClusterConfig, RegExp][] = [
    [
      edits.addService(example, "web", web8080),
      /fd77::100\]:443"\n {6}- (")?tcp 10\.77\.0\.100:8080/,
    ],
    [edits.setDelivery(example, "unicast"), /^ {2}method: unicast # unicast, multicast/m],
    [edits.setWeight(example, "names", "m1", 9), /\{ name: m1, weight: 9 \}/],
    [edits.setDrained(example, "m3", true), /drained: true # true: no new connections/],
    [edits.setDrained(example, "m1", true), /name: m1.*drained: true/],
    [edits.revoke(example, "ab"), /^revoked:\n? *(- |\[ ?)"?ab/m],
    [edits.pinCa(example, `sha256:${"a".repeat(64)}`), /ca: "?sha256:a{64}/],
  ];
  const comments = (text: string): string[] => text.match(/#.*$/gm) ?? [];
  for (const [config, words] of cases) {
    const text = renderConfig(config, EXAMPLE);
    assert.deepEqual(comments(text), comments(EXAMPLE));
    assert.match(text, words);
  }
  assert.equal(renderConfig(example, EXAMPLE), EXAMPLE);
});

test("B8: a file whose anchors share what an edit changes is refused, not changed wrongly", () => {
  const text = [
    "cluster: { name: demo, interface: eth0 }",
    "nodes: [{ name: m1, id: 1, address: 10.0.0.1 }, { name: m2, id: 2, address: 10.0.0.2 }]",
    "groups:",
    "  - { name: a, nodes: &both [{ name: m1, weight: 1 }, { name: m2, weight: 1 }] }",
    "  - { name: b, nodes: *both }",
    "",
  ].join("\n");
  const config = requireConfig(text, "anchors");
  throwsPan("PAN_CONFLICT", /anchors/, () =>
    renderConfig(edits.setWeight(config, "a", "m1", 5), text),
  );
  const other = renderConfig(edits.setWeight(config, "b", "m1", 5), text);
  assert.deepEqual(requireConfig(other, "o").groups[1]?.nodes[0], { name: "m1", weight: 5 });
});
