// A2, A19: the operator's way from an empty folder to a revoked node, without any agent.
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import {
  chmodSync,
  existsSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { type TestContext, test } from "node:test";
import { requireConfig } from "#config/load.ts";
import { configReference } from "#config/reference.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import { run } from "../program.ts";
import { recordingTerminal } from "../recording-terminal.ts";

interface Operator {
  readonly folder: string;
  readonly config: string;
  /** Runs a line; CA and configuration are those of the folder. */
  readonly pan: (line: string) => Promise<{ status: number; out: string; err: string }>;
}

const START = "# ours\ncluster: { name: demo, interface: eth0 } # one site\nnodes: []\n";

function operator(t: TestContext, text = START): Operator {
  const folder = mkdtempSync(path.join(tmpdir(), "pt-id-"));
  t.after(() => rmSync(folder, { recursive: true, force: true }));
  const config = path.join(folder, "cluster.yaml");
  writeFileSync(config, text, { mode: 0o640 });
  return {
    folder,
    config,
    pan: async (line) => {
      const terminal = recordingTerminal();
      const words = line.split(" ").map((word) => word.replace("@", `${folder}/`));
      const status = await run(words, terminal);
      return { status, ...terminal.written };
    },
  };
}

const ADD = "--config @cluster.yaml --ca @ca";
const INIT = "ca init --folder @ca --config @cluster.yaml";

test("A19: ca init, node add: the bundle opens with what the configuration says", async (t) => {
  const { folder, config, pan } = operator(t);
  const init = await pan(INIT);
  assert.equal(init.status, 0, init.err);
  const line = `node add m1 10.77.0.11 ${ADD} --out @m1.bundle --days 10`;
  const added = await pan(line);
  assert.equal(added.status, 0, added.err);
  assert.match(added.out, /^Node m1: id 1, address 10\.77\.0\.11; its bundle is .*m1\.bundle\.$/m);
  const text = readFileSync(config, "utf8");
  assert.match(text, /^# ours\n/);
  assert.match(text, /# one site/);
  assert.equal(statSync(config).mode & 0o777, 0o640);
  const after = requireConfig(text, "after");
  assert.deepEqual(after.nodes, [{ name: "m1", id: 1, address: "10.77.0.11", drained: false }]);
  const { ca } = after.cluster;
  assert.ok(ca !== undefined && init.out.includes(ca));
  const bundle = path.join(folder, "m1.bundle");
  const identity = openBundle(bundle, { now: new Date(), expectedCa: ca, revoked: after.revoked });
  assert.equal(identity.id, 1);
  assert.equal(identity.personality.errorLog, "stderr");
  assert.deepEqual(readdirSync(folder).sort(), ["ca", "cluster.yaml", "m1.bundle"]);
});

test("A2: node revoke refuses every certificate of the node, old and new; show says so", async (t) => {
  const { folder, config, pan } = operator(t);
  await pan(INIT);
  await pan(`node add m1 10.77.0.11 ${ADD} --out @old.bundle`);
  const renewed = await pan(`node renew m1 ${ADD} --out @new.bundle`);
  assert.equal(renewed.status, 0, renewed.err);
  const before = await pan("node show @new.bundle --config @cluster.yaml");
  assert.match(before.out, /^accepted +yes$/m);
  const revoked = await pan(`node revoke m1 ${ADD}`);
  assert.match(revoked.out, /^Revoked 2 of m1: [0-9a-f]{32}, [0-9a-f]{32}$/m);
  const serials = requireConfig(readFileSync(config, "utf8"), "c").revoked;
  assert.equal(serials.length, 2);
  for (const name of ["old", "new"]) {
    const shown = await pan(`node show @${name}.bundle --config @cluster.yaml`);
    assert.match(shown.out, /^accepted +no: .*\[PAN_BUNDLE_REVOKED\]$/m);
    const json = await pan(`node show @${name}.bundle --config @cluster.yaml --json`);
    const facts = JSON.parse(json.out) as { serial: string; accepted: boolean };
    assert.ok(serials.includes(facts.serial));
    assert.equal(facts.accepted, false);
  }
  assert.match((await pan(`node revoke m1 ${ADD}`)).out, /revoked already/);
  const third = await pan(`node renew m1 ${ADD} --out @third.bundle`);
  assert.equal(third.status, 0);
  assert.match((await pan("node show @third.bundle --config @cluster.yaml")).out, /accepted +yes/);
  assert.equal(existsSync(path.join(folder, "third.bundle")), true);
});

test("A19: the private key is in the bundle and in nothing that is printed or written beside it", async (t) => {
  const { folder, config, pan } = operator(t);
  const outcomes = [
    await pan(INIT),
    await pan(`node add m1 10.77.0.11 ${ADD} --out @m1.bundle`),
    await pan("node show @m1.bundle"),
    await pan("node show @m1.bundle --json"),
    await pan("node show @cluster.yaml"),
  ];
  const printed = outcomes.map(({ out, err }) => out + err).join("");
  const bundle = JSON.parse(readFileSync(path.join(folder, "m1.bundle"), "utf8")) as {
    content: { privateKey: string; certificate: string };
  };
  const secret = bundle.content.privateKey.split("\n")[1] ?? assert.fail();
  assert.equal(secret.length, 64);
  const beside =
    readFileSync(config, "utf8") + readFileSync(path.join(folder, "ca/issued.jsonl"), "utf8");
  for (const text of [printed, beside]) {
    assert.ok(!text.includes(secret));
    assert.doesNotMatch(text, /PRIVATE KEY/);
  }
  const { serialNumber } = new X509Certificate(bundle.content.certificate);
  assert.ok(printed.includes(serialNumber.toLowerCase()));
});

test("A2: node add takes id, interface, routes, error log and delivery, and picks the next free id", async (t) => {
  const { folder, config, pan } = operator(t);
  await pan(INIT);
  const route = "--route 10.0.0.0/8~via~10.77.0.1";
  const words = `node add m1 10.77.0.11 ${ADD} --out @m1.bundle --id 2 --interface eth7 ${route} --error-log /var/log/x`;
  const terminal = recordingTerminal();
  const expanded = words
    .split(" ")
    .map((word) => word.replace("@", `${folder}/`).replaceAll("~", " "));
  assert.equal(await run(expanded, terminal), 0, terminal.written.err);
  await pan(`node add m2 10.77.0.12 ${ADD} --out @m2.bundle`);
  await pan(`node add m3 10.77.0.13 ${ADD} --out @m3.bundle --delivery geneve`);
  const { nodes } = requireConfig(readFileSync(config, "utf8"), "c");
  assert.deepEqual(
    nodes.map(({ name, id, interface: device, delivery }) => [name, id, device, delivery]),
    [
      ["m1", 2, "eth7", undefined],
      ["m2", 1, undefined, undefined],
      ["m3", 3, undefined, "geneve"],
    ],
  );
  const { personality } = openBundle(path.join(folder, "m1.bundle"), {
    now: new Date(),
    revoked: [],
  });
  assert.deepEqual(personality.routes, [{ destination: "10.0.0.0/8", via: "10.77.0.1" }]);
  assert.equal(personality.errorLog, "/var/log/x");
});

test("A2: a refused command changes neither configuration nor folder", async (t) => {
  const { folder, config, pan } = operator(t);
  const refused = async (line: string, code: string): Promise<void> => {
    const files = readdirSync(folder).sort();
    const text = readFileSync(config, "utf8");
    const { status, err } = await pan(line);
    assert.notEqual(status, 0, line);
    assert.match(err, new RegExp(code), line);
    assert.deepEqual(readdirSync(folder).sort(), files, line);
    assert.equal(readFileSync(config, "utf8"), text, line);
  };
  await refused(`node add m1 10.77.0.11 ${ADD} --out @m1.bundle`, "PAN_CA_UNREADABLE");
  await refused("ca init --folder @ca --cluster other --config @cluster.yaml", "PAN_CONFLICT");
  await refused("ca init --folder @ca --config @none.yaml", "PAN_CONFIG_UNREADABLE");
  await pan(INIT);
  await pan(`node add m1 10.77.0.11 ${ADD} --out @m1.bundle`);
  await refused(INIT, "PAN_CONFLICT");
  await refused("ca init --folder @ca --cluster demo --config @none.yaml", "PAN_CA_EXISTS");
  await refused(`node add m1 10.77.0.12 ${ADD} --out @x.bundle`, "PAN_NODE_EXISTS");
  await refused(`node add m2 10.77.0.11 ${ADD} --out @x.bundle`, "PAN_NODE_EXISTS");
  await refused(`node add m2 10.77.0.12 ${ADD} --out @m1.bundle`, "PAN_BUNDLE_EXISTS");
  await refused(`node add m2 10.77.0.12 ${ADD} --out @none/x.bundle`, "PAN_BUNDLE_UNREADABLE");
  await refused(`node add M2 10.77.0.12 ${ADD} --out @x.bundle`, "PAN_CONFLICT");
  await refused(`node add m2 10.77.0 ${ADD} --out @x.bundle`, "not an IP address");
  await refused(`node add m2 10.77.0.12 ${ADD} --id 4096`, "Use 1 to 4095");
  await refused(`node add m2 10.77.0.12 ${ADD} --days 9999 --out @x.bundle`, "PAN_CONFLICT");
  await refused(`node renew m9 ${ADD}`, "PAN_NOT_FOUND");
  await refused(`node revoke m9 ${ADD}`, "PAN_NOT_FOUND");
  await refused(`node revoke m1 --serial xyz ${ADD}`, "PAN_CONFLICT");
  await refused("node show @none.bundle", "PAN_BUNDLE_UNREADABLE");
  const other = await pan("ca init --folder @other --cluster demo --config @none.yaml");
  assert.match(other.out, /Write it into the cluster configuration: ca: "sha256:/);
  await refused("node renew m1 --config @cluster.yaml --ca @other --out @x.bundle", "PAN_CONFLICT");
  chmodSync(path.join(folder, "ca", "ca.key"), 0o644);
  await refused(`node renew m1 ${ADD} --out @x.bundle`, "PAN_BUNDLE_PERMISSIONS");
});

test("a configuration behind a symbolic link is changed where it is", async (t) => {
  const { folder, config, pan } = operator(t);
  symlinkSync("cluster.yaml", path.join(folder, "link.yaml"));
  await pan("ca init --folder @ca --config @link.yaml");
  assert.match(readFileSync(config, "utf8"), /sha256:/);
  assert.ok(readdirSync(folder).includes("link.yaml"));
});

test("pan config check: valid, or every problem with file, line and column and exit status 1", async (t) => {
  const bad = operator(t, "cluster: { name: demo, interface: eth0, prot: 1 }\nnodes: 7\n");
  const { status, err, out } = await bad.pan("config check @cluster.yaml");
  assert.equal(status, 1);
  assert.equal(out, "");
  const lines = err.trimEnd().split("\n");
  assert.equal(
    lines[0],
    `${bad.config}:1:41: cluster.prot: unknown key "prot". Did you mean "port"?`,
  );
  assert.equal(lines[1], `${bad.config}:2:8: nodes: 7 stands where a list is expected`);
  assert.equal(lines[2], `pan: ${bad.config} has 2 problems [PAN_CONFIG_INVALID]`);
  const good = await operator(t).pan("config check @cluster.yaml");
  assert.equal(good.status, 0);
  assert.match(
    good.out,
    /is valid: 0 nodes, 0 service groups, 0 services, 0 virtual addresses; digest/,
  );
  assert.equal((await bad.pan("config check @none.yaml")).status, 1);
});

test("pan config docs prints the reference page", async (t) => {
  const { out } = await operator(t).pan("config docs");
  assert.equal(out, configReference());
});
