// Nodes that are no longer, or never were, of the cluster: certificates revoked while they run, nodes taken out of the configuration,
// an agent of another CA on the same network (A2, A19).
import assert from "node:assert/strict";
import { X509Certificate } from "node:crypto";
import { readFileSync, rmSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { createCa, issueNode } from "#driver/identity/authority.ts";
import { readBundle, writeBundle } from "#driver/identity/bundle.ts";
import { LabCluster } from "#lab/cluster.ts";
import { startProgram } from "#lab/launch.ts";
import { STANDARD } from "#lab/standard.ts";
import {
  answerers,
  CALM,
  hasAgent,
  labName,
  logOf,
  PAN,
  panIn,
  panOk,
  skip,
  startAgent,
  until,
} from "./agent-bench.ts";

const STRANGER = { host: "x1", address: "10.77.0.70" } as const;
const name = labName("nodes");

describe("nodes that do not belong", { skip }, () => {
  let cluster: LabCluster;
  let yaml: string;

  before(async () => {
    cluster = await LabCluster.up({
      name,
      members: 3,
      extraConfig: CALM,
      downOnExit: true,
      extraHosts: [
        {
          name: STRANGER.host,
          links: [{ switch: STANDARD.switch, addresses: [`${STRANGER.address}/24`] }],
        },
      ],
    });
    await cluster.settled();
    yaml = readFileSync(path.join(cluster.folder, "cluster.yaml"), "utf8");
  });
  after(() => cluster?.down());

  const serialOf = (member: string): string => {
    const { content } = readBundle(path.join(cluster.folder, `${member}.bundle`));
    return new X509Certificate(content.certificate).serialNumber;
  };

  async function apply(at: string, text: string): Promise<void> {
    const file = path.join(cluster.folder, "next.yaml");
    writeFileSync(file, text);
    await panOk(cluster, at, "config", "apply", file);
  }

  const others = (out: string): string[] => cluster.members.filter((member) => member !== out);
  const serving = async (): Promise<string[]> =>
    [...(await answerers(cluster.lab, STANDARD.vip4, 60)).keys()].sort();

  test("A2: a member whose certificate is revoked is out at once and stays out, also after a restart", async () => {
    const master = await cluster.master();
    const [out = ""] = others(master);
    await apply(master, `${yaml}revoked: ["${serialOf(out)}"]\n`);
    await cluster.settled(others(out));
    assert.deepEqual(await serving(), others(out));
    await until("its agent ends, and says why", () => !hasAgent(cluster, out));
    assert.match(logOf(cluster, out), /revoked.*pan node renew.*\[PAN_BUNDLE_REVOKED\]/);
    const start = panIn(cluster.lab, out, [
      ...["agent", `--config=${path.join(cluster.folder, "next.yaml")}`],
      `--bundle=${path.join(cluster.folder, `${out}.bundle`)}`,
      `--state-folder=${path.join(cluster.folder, "fresh")}`,
      `--socket=${path.join(cluster.folder, "fresh.sock")}`,
    ]);
    assert.match((await start).stderr, /\[PAN_BUNDLE_REVOKED\]/);
    // with its old files, from before the revocation, it starts, asks, and is refused
    const place = cluster.lab.folder(out);
    writeFileSync(path.join(place, "state/config.json"), JSON.stringify(oldState(yaml)));
    await startAgent(cluster, out);
    await until("it is told why", () => /"reason":"revoked"/.test(logOf(cluster, out)));
    assert.deepEqual(await serving(), others(out));
    await cluster.settled(others(out));

    await apply(master, yaml);
    await cluster.settled();
    assert.deepEqual(await serving(), cluster.members);
  });

  test("A2: the master's certificate is revoked: it hands over, and comes back with a renewed bundle", async () => {
    const out = await cluster.master();
    await apply(out, `${yaml}revoked: ["${serialOf(out)}"]\n`);
    await until("its agent ends", () => !hasAgent(cluster, out));
    const { failovers } = await cluster.settled(others(out));
    assert.notEqual(failovers[0]?.reason, "silent");
    assert.deepEqual(await serving(), others(out));
    const bundle = path.join(cluster.folder, `${out}.bundle`);
    const { id, address } = readBundle(bundle).content.node;
    const request = { name: out, id: nodeId(id), address: ip(address), days: 1 };
    const renewed = await issueNode(path.join(cluster.folder, "ca"), request);
    rmSync(bundle);
    writeBundle(bundle, renewed);
    await startAgent(cluster, out);
    await cluster.settled();
    assert.deepEqual(await serving(), cluster.members);
  });

  const without = (out: string): string =>
    yaml
      .split("\n")
      .filter((line) => !line.includes(`name: ${out},`))
      .join("\n");
  const vipsOn = async (member: string, device: string): Promise<string> => {
    const show = ["ip", "-o", "address", "show", "dev", device, "to", STANDARD.vip4];
    return (await cluster.lab.exec(member, show)).stdout;
  };
  const present = ({ members, groups }: Status): boolean =>
    members.length === 2 && groups.every(({ shares }) => shares.length === 2);

  test("A2: a member that the configuration no longer names ends, answers for no VIP, gets nothing, and can be added again", async () => {
    const master = await cluster.master();
    const [out = ""] = others(master);
    await apply(master, without(out));
    await until("its agent ends, and says why", () => !hasAgent(cluster, out));
    assert.match(logOf(cluster, out), /does not name node .*\[PAN_NODE_REMOVED\]/);
    assert.equal(await vipsOn(out, STANDARD.interface), "");
    assert.notEqual(await vipsOn(out, "lo"), "", "its established connections live on");
    await cluster.until("two members are left", present, master);
    // it departs, and its slots move, when it takes no frames any more (docs/adr/0014)
    await cluster.settled(others(out));
    assert.deepEqual(await serving(), others(out));

    // with its old configuration it asks, and the master tells it nothing but no
    const stored = path.join(cluster.lab.folder(out), "state/config.json");
    writeFileSync(stored, JSON.stringify(oldState(yaml)));
    const before = logOf(cluster, out).length;
    await startAgent(cluster, out);
    const since = (): string => logOf(cluster, out).slice(before);
    await until("it is told why", () => /"reason":"not-admitted"/.test(since()));
    assert.doesNotMatch(since(), /"role":"member"/);
    assert.deepEqual(await serving(), others(out));

    await apply(master, yaml);
    await cluster.settled();
    assert.deepEqual(await serving(), cluster.members);
  });

  test("A2: the master is taken out of the configuration: it hands over, ends and answers for no VIP", async () => {
    const out = await cluster.master();
    await apply(out, without(out));
    await until("its agent ends, and says why", () => !hasAgent(cluster, out));
    assert.match(logOf(cluster, out), /does not name node .*\[PAN_NODE_REMOVED\]/);
    assert.equal(await vipsOn(out, STANDARD.interface), "");
    assert.notEqual(await vipsOn(out, "lo"), "", "its established connections live on");
    const [next = ""] = others(out);
    await cluster.until("two members are left", present, next);
    await cluster.settled(others(out));
    assert.deepEqual(await serving(), others(out));
    const stored = path.join(cluster.lab.folder(out), "state/config.json");
    await apply(next, yaml);
    const restarted = await panIn(cluster.lab, out, [
      ...["agent", `--config=${path.join(cluster.folder, "cluster.yaml")}`],
      `--bundle=${path.join(cluster.folder, `${out}.bundle`)}`,
      `--state-folder=${path.dirname(stored)}`,
      `--socket=${path.join(cluster.folder, "fresh.sock")}`,
    ]);
    assert.match(restarted.stderr, /delete .*config\.json .*\[PAN_CONFIG_INVALID\]/);
    assert.notEqual(restarted.status, 0);
    rmSync(stored);
    await startAgent(cluster, out);
    await cluster.settled();
    assert.deepEqual(await serving(), cluster.members);
  });

  test("A2: an agent of another CA on the same network is a cluster by itself; neither disturbs the other", async () => {
    const { lab } = cluster;
    const before = await cluster.settled();
    const ca = path.join(cluster.folder, "x-ca");
    await createCa(ca, name);
    const bundle = path.join(cluster.folder, "x1.bundle");
    const request = { name: "m1", id: nodeId(1), address: ip(STRANGER.address), days: 1 };
    writeBundle(bundle, await issueNode(ca, request));
    const config = path.join(cluster.folder, "x1.yaml");
    writeFileSync(
      config,
      `cluster: { name: ${name}, interface: eth0 }
nodes: [{ name: m1, id: 1, address: ${STRANGER.address} }]
groups: [{ name: web, services: ["tcp 10.77.0.170:80"] }]
`,
    );
    const [folder, socket] = [lab.folder(STRANGER.host), "x1.sock"];
    await startProgram(
      { lab: name, host: STRANGER.host },
      {
        name: "agent",
        argv: [
          ...[process.execPath, PAN, "agent", `--config=${config}`, `--bundle=${bundle}`],
          ...["--state-folder=@DIR@/state", `--socket=@DIR@/${socket}`],
        ],
        ready: { file: socket, timeoutMs: 30_000 },
      },
    );
    const statusOf = async (): Promise<Status> => {
      const words = ["--socket", path.join(folder, socket), "status", "--json"];
      return JSON.parse((await panIn(lab, STRANGER.host, words)).stdout) as Status;
    };
    await until("it is master of itself", async () => (await statusOf()).node.role === "master");
    const foreign = ({ membership }: Status): number =>
      membership.drops.find(({ reason }) => reason === "foreign-cluster")?.count ?? 0;
    await cluster.until("its messages are dropped", (now) => foreign(now) > 0);
    const now = await cluster.settled();
    assert.deepEqual(
      [now.cluster.master, now.cluster.epoch, now.failovers],
      [before.cluster.master, before.cluster.epoch, before.failovers],
    );
    assert.deepEqual(
      (await statusOf()).members.map(({ state }) => state),
      ["master"],
    );
    assert.deepEqual(await serving(), cluster.members);
  });
});

/** What a node has in its state folder that was away since the very start. */
const oldState = (yaml: string): object => ({
  version: { counter: 1, digest: "0".repeat(16) },
  yaml,
});
