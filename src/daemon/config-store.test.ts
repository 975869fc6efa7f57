// The configuration in force and the state folder under it: what is refused leaves everything as it was, also on disk.
import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { test, type TestContext } from "node:test";
import { configVersion } from "#config/config.ts";
import { setDrained } from "#config/edits.ts";
import { requireConfig } from "#config/load.ts";
import { waitingForRestart } from "./cluster-spec.ts";
import { ConfigStore } from "./config-store.ts";
import { StateFolder } from "./state-folder.ts";

const YAML = `cluster: { name: small, interface: eth0 }
nodes: [{ name: a, id: 1, address: 10.0.0.1 }, { name: b, id: 2, address: 10.0.0.2 }]
datapath: { slotCapacity: 4096 }
groups: [{ name: web, services: ["tcp 10.0.0.100:80"] }]
`;

function opened(context: TestContext): { folder: string; file: string; open: () => ConfigStore } {
  const folder = mkdtempSync(path.join(tmpdir(), "pan-store-"));
  context.after(() => rmSync(folder, { recursive: true }));
  const file = path.join(folder, "cluster.yaml");
  writeFileSync(file, YAML);
  const state = path.join(folder, "state");
  return { folder: state, file, open: () => ConfigStore.open(new StateFolder(state), file) };
}

test("A4: an edit is the next version, survives a restart, and wins over the file", (context) => {
  const { file, open } = opened(context);
  const store = open();
  assert.equal(store.current.version.counter, 1);
  assert.equal(store.differsFrom(file), false);
  const { version } = store.edit((config) => setDrained(config, "a", true));
  assert.equal(version.counter, 2);
  const again = open();
  assert.deepEqual(again.current.version, version);
  assert.equal(again.differsFrom(file), true);
  rmSync(file);
  assert.equal(open().differsFrom(file), false, "the file is not needed any more");
  const same = again.edit((config) => config);
  assert.equal(same.version.counter, 2, "no change is no version");
});

test("B8: a configuration that the running packet program has no room for is refused whole", (context) => {
  const { folder, open } = opened(context);
  const store = open();
  store.edit((config) => setDrained(config, "a", true));
  const before = [store.current, readFileSync(path.join(folder, "config.json"), "utf8")];
  const large = YAML.replace("4096", "65536").replace("name: web", "name: web, slots: 8192");
  const message = /8192 slots, but the packet program has room for 4096\. .*restart the agents/;
  assert.throws(() => store.replace(large), { code: "PAN_CONFLICT", message });
  assert.throws(() => store.replace(YAML.replace("small", "other")), { code: "PAN_CONFLICT" });
  assert.throws(() => store.replace(`${YAML}colour: red\n`), { code: "PAN_CONFIG_INVALID" });
  const against = (): never => assert.fail("what the caller has against it");
  assert.throws(() => store.replace(YAML.replace("eth0", "eth1"), against), /has against it/);
  assert.deepEqual([store.current, readFileSync(path.join(folder, "config.json"), "utf8")], before);
  store.replace(YAML.replace("4096", "65536"));
  assert.throws(() => store.replace(large), { code: "PAN_CONFLICT" }, "until the agent restarts");
  assert.equal(open().replace(large).version.counter, 4);
});

test("A4: a master's configuration is taken when it is what its version says", (context) => {
  const { open } = opened(context);
  const store = open();
  const yaml = YAML.replace("10.0.0.100:80", "10.0.0.100:81");
  const version = configVersion(7, requireConfig(yaml, "test"));
  const refused = { code: "PAN_CONFIG_INVALID" };
  assert.throws(() => store.adopt(version, YAML), refused);
  assert.throws(() => store.adopt(version, "groups: 5"), refused);
  const foreign = YAML.replace("small", "other");
  const other = configVersion(7, requireConfig(foreign, "test"));
  assert.throws(() => store.adopt(other, foreign), refused);
  assert.equal(store.current.version.counter, 1);
  assert.deepEqual(store.adopt(version, yaml).version, version);
  assert.deepEqual(open().current.version, version);
});

test("Damaged files: the configuration is asked about, everything else is worked out anew", (context) => {
  const { folder, open } = opened(context);
  const state = new StateFolder(folder);
  for (const text of ["", "{", "null", "[]", '{"version":{"counter":1}}', '{"yaml":"x"}']) {
    writeFileSync(path.join(folder, "config.json"), text);
    assert.throws(open, {
      code: "PAN_STATE_UNREADABLE",
      message: /config\.json is damaged; remove/,
    });
  }
  for (const [text, epoch] of [
    ["7", 7],
    ["", 0],
    ["seven", 0],
    ["-1", 0],
    ["1e99", 0],
    ["1.5", 0],
  ] as const) {
    writeFileSync(path.join(folder, "epoch"), text);
    assert.equal(state.epoch(), epoch, text);
  }
  for (const [text, boot] of [
    ["12", 12n],
    ["", undefined],
    ["0x1", undefined],
    ["9".repeat(30), undefined],
  ] as const) {
    writeFileSync(path.join(folder, "boot"), text);
    assert.equal(state.boot(), boot, text);
  }
  writeFileSync(path.join(folder, "tables.bin"), "nothing of the kind");
  assert.equal(state.tables(), undefined);
});

test("Settings that need a new start are named", () => {
  const now = requireConfig(YAML, "test");
  const text = YAML.replace("interface: eth0", "interface: eth1, port: 9").replace("4096", "8192");
  const changed = requireConfig(text, "test");
  assert.deepEqual(waitingForRestart(now, changed), [
    "cluster.port",
    "cluster.interface",
    "datapath.slotCapacity",
  ]);
  assert.deepEqual(waitingForRestart(now, now), []);
});

test("B7: a sorry server's port that the hook of the start does not allow for is named, with what it waits for", () => {
  const started = requireConfig(YAML, "test");
  const [group] = started.groups;
  assert.ok(group);
  const groups = [{ ...group, whenNone: "sorry", sorry: "m1", sorryPort: 8080 } as const];
  const tc = { ...started.datapath, hook: "tc" } as const;
  const now = { ...started, groups, datapath: tc };
  assert.deepEqual(waitingForRestart(started, now), [
    "datapath.hook",
    `groups.${group.name}.sorryPort (needs the hook tc)`,
  ]);
  assert.deepEqual(waitingForRestart({ ...started, datapath: tc }, now), []);
});

test("A4: a configuration that members cannot be sent is refused, and nothing has changed", (context) => {
  const store = opened(context).open();
  const before = store.current;
  const long = `${YAML.replace("small, ", "small, port: 7451, ")}# ${"é".repeat(2.5 * 1024 * 1024)}\n`;
  assert.throws(() => store.replace(long), {
    code: "PAN_CONFLICT",
    message: /too long to be sent/,
  });
  assert.equal(store.current, before);
});
