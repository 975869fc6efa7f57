// The master's control channel over real TLS on loopback addresses: who is let in, what members are told, and that nothing they say
// ends the master.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
import { ip } from "#base/address.ts";
import { NO_TABLES, nodeId } from "#base/ids.ts";
import { configVersion } from "#config/config.ts";
import { requireConfig } from "#config/load.ts";
import { nextTables } from "#core/steering/next-tables.ts";
import { desired, version as tableVersion } from "#core/steering/testing/desired.ts";
import { ControlClient } from "#driver/control/client.ts";
import { createCa, issueNode } from "#driver/identity/authority.ts";
import { writeBundle } from "#driver/identity/bundle.ts";
import type { NodeIdentity } from "#driver/identity/identity.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import type { ControlMessage, Hello } from "#wire/control/message.ts";
import type { ConfigInForce } from "./config-store.ts";
import { Followers, type FollowersOptions } from "./followers.ts";
import { GroupKeys } from "./group-keys.ts";
import { Trouble } from "./trouble.ts";

const PATIENCE_MS = 20_000;

async function until(what: string, holds: () => boolean): Promise<void> {
  const limit = performance.now() + PATIENCE_MS;
  while (!holds()) {
    assert.ok(performance.now() < limit, `waited in vain until ${what}`);
    await pause(2);
  }
}

const configOf = (ids: readonly number[], counter = 1): ConfigInForce => {
  const nodes = ids.map((id) => `{ name: n${id}, id: ${id}, address: 10.0.0.${id} }`);
  const yaml = `cluster: { name: lab, interface: eth0 }\nnodes: [${nodes.join()}]\n`;
  const checked = requireConfig(yaml, "test");
  // loopback addresses are for tests only; no configuration may have them
  const onLoopback = checked.nodes.map((node) => ({ ...node, address: ip(`127.0.0.${node.id}`) }));
  const config = { ...checked, nodes: onLoopback };
  return { version: configVersion(counter, config), yaml, config };
};

interface Member {
  readonly client: ControlClient;
  readonly received: ControlMessage[];
  readonly closed: string[];
}

interface Scene {
  readonly followers: Followers;
  readonly keys: GroupKeys;
  readonly refused: string[];
  readonly said: string[];
  inForce: ConfigInForce;
  readonly connect: (id: number, from?: string) => Promise<Member>;
}

const tables = nextTables(undefined, desired(16, [{ id: 1 }, { id: 2 }]), tableVersion(1));

/** Node 1 is master of nodes 1, 2 and 3. */
async function scene(t: TestContext, change: Partial<FollowersOptions> = {}): Promise<Scene> {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-followers-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const ca = path.join(folder, "ca");
  await createCa(ca, "lab");
  const identityOf = async (id: number): Promise<NodeIdentity> => {
    const file = path.join(mkdtempSync(path.join(folder, "node-")), "bundle");
    const node = { name: `n${id}`, id: nodeId(id), address: ip(`127.0.0.${id}`), days: 1 };
    writeBundle(file, await issueNode(ca, node));
    return openBundle(file, { now: new Date(), revoked: [] });
  };
  const [refused, said, keys] = [[] as string[], [] as string[], new GroupKeys()];
  keys.rotate();
  const say = (fields: unknown, text?: string): void => {
    said.push(`${JSON.stringify(fields)} ${text}`);
  };
  const followers = new Followers({
    identity: await identityOf(1),
    address: ip("127.0.0.1"),
    port: 0,
    keys,
    isMaster: () => true,
    hello: () => helloOf(1, self.inForce),
    config: () => self.inForce,
    tables: () => tables,
    revoked: () => new Set(),
    onAcknowledged: () => {},
    onSlotReport: () => {},
    onHealthReport: () => {},
    onSlotsWanted: () => {},
    onFlowReport: () => {},
    onRequest: async () => ({ status: 200, body: null }),
    onRefused: (reason, from) => refused.push(`${reason} ${from}`),
    trouble: new Trouble({ error: say }),
    ...change,
  });
  t.after(() => followers.close());
  await followers.listen();
  const connect = async (id: number, from = `127.0.0.${id}`): Promise<Member> => {
    const [received, closed] = [[] as ControlMessage[], [] as string[]];
    const client = await ControlClient.connect({
      address: ip("127.0.0.1"),
      port: followers.port,
      expectedNode: nodeId(1),
      identity: await identityOf(id),
      revoked: () => new Set(),
      localAddress: ip(from),
      onMessage: (_client, message) => received.push(message),
      onClose: (_client, reason) => closed.push(reason),
    });
    t.after(() => client.close());
    return { client, received, closed };
  };
  const self: Scene = { followers, keys, refused, said, connect, inForce: configOf([1, 2, 3]) };
  return self;
}

const helloOf = (id: number, { version }: ConfigInForce): Hello => ({
  type: "hello",
  node: nodeId(id),
  bootId: "0a",
  config: version,
  tables: NO_TABLES,
});

const kinds = ({ received }: Member): string[] => received.map(({ type }) => type);

test("A2: only nodes of the configuration, from their own addresses, are let in; others get nothing", async (t) => {
  const self = await scene(t);
  await assert.rejects(self.connect(4), { reason: "refused" });
  await assert.rejects(self.connect(2, "127.0.0.9"), { reason: "refused" });
  assert.deepEqual(self.refused, ["not-admitted 127.0.0.4", "wrong-address 127.0.0.9"]);
  assert.equal(self.followers.counts.get("refused-not-admitted"), 1);
  const member = await self.connect(2);
  member.client.send(helloOf(2, self.inForce));
  await until("it has all", () => member.received.length === 3);
  assert.deepEqual(kinds(member), ["hello", "group-key", "tables"]);
});

test("A2: a node that is taken out hears of it, and then nothing more; the new key is for the others", async (t) => {
  const self = await scene(t);
  const [out, stays] = [await self.connect(2), await self.connect(3)];
  self.inForce = configOf([1, 3], 2);
  self.followers.sendConfigToAll(self.inForce);
  self.keys.rotate();
  self.followers.sendKeyToAll();
  await until("it is cut off", () => out.closed.length === 1);
  await until("the other has the key", () => kinds(stays).includes("group-key"));
  assert.deepEqual(kinds(out), ["hello", "config"]);
  assert.deepEqual(kinds(stays), ["hello", "config", "group-key"]);
});

test("B8: the master knows which connected members hold a configuration", async (t) => {
  const self = await scene(t);
  const [one, other] = [await self.connect(2), await self.connect(3)];
  self.inForce = configOf([1, 2, 3, 4], 2);
  const { version } = self.inForce;
  self.followers.sendConfigToAll(self.inForce);
  const agreed = self.followers.agreed(version, PATIENCE_MS);
  one.client.send({ type: "config-ack", version });
  other.client.send({ type: "config-ack", version });
  assert.deepEqual(await agreed, []);
  const short = self.followers.agreed({ ...version, counter: 3 }, 1);
  assert.deepEqual(
    (await short).sort((a, b) => a - b),
    [2, 3],
  );
});

test("What a member says cannot end the master: failures are logged and counted, and others are served", async (t) => {
  const self = await scene(t, {
    onAcknowledged: () => {
      throw new TypeError("a fault of ours");
    },
    onRequest: async (method) => {
      if (method === "fails") throw new Error("another");
      return { status: 200, body: method };
    },
  });
  const member = await self.connect(2);
  member.client.send({ type: "tables-ack", version: tables.version });
  member.client.send({ type: "request", id: 1, method: "fails", body: null });
  await until("both are counted", () => self.followers.counts.get("message-failed") === 2);
  assert.match(self.said.join("\n"), /tables-ack of a member: a fault of ours\n.*: another/s);
  const { body } = await member.client.request("works", null, PATIENCE_MS);
  assert.equal(body, "works");
});

test("A configuration that is too long for the channel is said, not lost", async (t) => {
  const self = await scene(t);
  const { version, config } = self.inForce;
  const yaml = `#${"x".repeat(5 * 1024 * 1024)}\n`;
  assert.throws(() => self.followers.sendConfigToAll({ version, config, yaml }), /config message/);
});
