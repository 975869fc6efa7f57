// What a configuration that comes into force does to members, membership, keys and to this node itself.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setImmediate as turn } from "node:timers/promises";
import { ip } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import { configVersion } from "#config/config.ts";
import { requireConfig } from "#config/load.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { ConfigStore } from "./config-store.ts";
import { Rollout } from "./rollout.ts";
import { StateFolder } from "./state-folder.ts";
import { Trouble } from "./trouble.ts";

const yamlOf = (...ids: readonly number[]): string =>
  `cluster: { name: small, interface: eth0 }
nodes: [${ids.map((id) => `{ name: n${id}, id: ${id}, address: 10.0.0.${id} }`).join()}]
`;
const identity = { id: nodeId(1), name: "n1", address: ip("10.0.0.1"), serial: "1a" };

interface Scene {
  readonly store: ConfigStore;
  readonly rollout: Rollout;
  readonly done: string[];
  /** Codes with which the node ended. */
  readonly out: unknown[];
  late: NodeId[];
  failSending: boolean;
}

/** Node 1, master of nodes 1 and 2, with configuration 1. */
function scene(context: TestContext): Scene {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-rollout-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "cluster.yaml");
  writeFileSync(file, yamlOf(1, 2));
  const store = ConfigStore.open(new StateFolder(path.join(folder, "state")), file);
  const [done, out] = [[] as string[], [] as unknown[]];
  const say = (level: string) => (fields: unknown, text?: string) =>
    void done.push(`${level} ${JSON.stringify(fields)} ${text}`);
  const rollout = new Rollout({
    store,
    identity: identity as unknown as NodeIdentity,
    log: { warn: say("warn") },
    trouble: new Trouble({ error: say("error") }),
    rotation: { trustChanged: () => void done.push("trust changed") },
    revoked: () => store.current.config.revoked,
    inForce: ({ version }) => void done.push(`in force ${version.counter}`),
    isMaster: () => true,
    followers: () => ({
      sendConfigToAll: ({ version }) => {
        if (self.failSending) throw new Error("too long");
        done.push(`send ${version.counter}`);
      },
      revokedNodes: () => (store.current.config.revoked.length > 0 ? [nodeId(2)] : []),
      agreed: async () => self.late,
    }),
    following: () => ({ send: ({ type }) => void done.push(type) }),
    heart: (command) => void done.push(`heart ${command.type}`),
    step: ({ type }) => void done.push(`step ${type}`),
    configured: () => void done.push("configured"),
    out: (cause) => out.push((cause as { code?: unknown }).code),
  });
  const self: Scene = { store, rollout, done, out, late: [], failSending: false };
  return self;
}

const configMessage = (
  counter: number,
  yaml: string,
): { type: "config"; version: ReturnType<typeof configVersion>; yaml: string } => ({
  type: "config",
  version: configVersion(counter, requireConfig(yaml, "test")),
  yaml,
});

test("A4, B8: a change goes to the members, to membership, to the controller and to the keys", (context) => {
  const { store, rollout, done, out } = scene(context);
  rollout.changed(store.replace(yamlOf(1, 2, 3)));
  assert.deepEqual(done, [
    "send 2",
    "in force 2",
    "heart config-changed",
    "step spec-changed",
    "configured",
    "trust changed",
  ]);
  assert.deepEqual(out, []);
});

test("A2: whose certificate is revoked is expelled", (context) => {
  const { store, rollout, done } = scene(context);
  rollout.changed(store.replace(`${yamlOf(1, 2)}revoked: ["0b"]\n`));
  assert.deepEqual(done.slice(-2), ["heart expel", "trust changed"]);
});

test("B8: members that do not say in time that they hold the change are named in the log", async (context) => {
  const self = scene(context);
  await self.rollout.agreed(self.store.current.version);
  assert.deepEqual(self.done, []);
  self.late = [nodeId(2)];
  await self.rollout.agreed(self.store.current.version);
  assert.match(self.done.join(), /^warn {"nodes":\[2\],"config":1} these nodes have not yet said/);
});

test("A failure to send is said, and the change is in force here all the same", (context) => {
  const self = scene(context);
  self.failSending = true;
  self.rollout.changed(self.store.replace(yamlOf(1, 2, 3)));
  assert.match(self.done[0] ?? "", /^error .*too long/);
  assert.ok(self.done.includes("step spec-changed"));
});

test("A4: an older configuration is adopted from the master, with a warning that names both", (context) => {
  const { store, rollout, done } = scene(context);
  rollout.adopt(configMessage(7, yamlOf(1, 2, 3)));
  assert.equal(done.filter((line) => line.startsWith("warn")).length, 0);
  rollout.adopt(configMessage(3, yamlOf(1, 2)));
  assert.equal(store.current.version.counter, 3);
  const [warning = ""] = done.filter((line) => line.startsWith("warn"));
  assert.match(warning, /"from":{"counter":7,.*"to":{"counter":3,.*older one than ours/);
});

test("A2: a member that the adopted configuration does not name, or revokes, ends", (context) => {
  for (const [yaml, code] of [
    [yamlOf(2), "PAN_NODE_REMOVED"],
    [yamlOf(1, 2).replace("n1", "other"), "PAN_NODE_REMOVED"],
    [`${yamlOf(1, 2)}revoked: ["1a"]\n`, "PAN_BUNDLE_REVOKED"],
  ] as const) {
    const { rollout, out, done } = scene(context);
    rollout.adopt(configMessage(2, yaml));
    assert.deepEqual(out, [code]);
    assert.ok(done.includes("config-ack"));
  }
});

test("A2: a master that takes itself out ends after the operator has the answer", async (context) => {
  const { store, rollout, out } = scene(context);
  const { version } = rollout.changed(store.replace(yamlOf(2)));
  await rollout.agreed(version);
  assert.deepEqual(out, [], "the answer comes first");
  await turn();
  assert.deepEqual(out, ["PAN_NODE_REMOVED"]);
});
