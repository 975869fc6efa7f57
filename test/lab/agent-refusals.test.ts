// An agent that must not start: it says what is wrong and what to do, and the host is as it was (A2, A19). One agent of the
// cluster runs; on the other's host everything is tried that can be wrong.
import assert from "node:assert/strict";
import { once } from "node:events";
import {
  chmodSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { ip } from "#base/address.ts";
import { nodeId } from "#base/ids.ts";
import { createCa, issueNode, type NodeRequest } from "#driver/identity/authority.ts";
import { writeBundle } from "#driver/identity/bundle.ts";
import { LabCluster } from "#lab/cluster.ts";
import type { ExecResult } from "#lab/lab.ts";
import { root } from "#tools/steps.ts";
import { CALM, endAgent, labName, PAN, panIn, skip, socketOf, tracesOf } from "./agent-bench.ts";

const DAY_MS = 86_400_000;
const name = labName("no");

describe("an agent that must not start", { skip }, () => {
  let cluster: LabCluster;
  let clean: Awaited<ReturnType<typeof tracesOf>>;
  let scratch: string;

  before(async () => {
    cluster = await LabCluster.up({ name, members: 2, extraConfig: CALM, downOnExit: true });
    await cluster.settled();
    await endAgent(cluster, "m1", "SIGTERM");
    const state = `--state-folder=${path.join(cluster.lab.folder("m1"), "state")}`;
    const down = await panIn(cluster.lab, "m1", ["agent", "--teardown", state]);
    assert.equal(down.status, 0, down.stderr);
    clean = await tracesOf(cluster.lab, "m1");
    scratch = path.join(cluster.folder, "scratch");
    mkdirSync(scratch);
  });
  after(() => cluster?.down());

  const inFolder = (file: string): string => path.join(cluster.folder, file);

  interface Start {
    readonly host?: string;
    readonly bundle?: string;
    readonly config?: string;
    readonly state?: string;
    readonly more?: readonly string[];
    /** What the agent is started by, such as setpriv. */
    readonly by?: readonly string[];
  }

  async function start(options: Start): Promise<ExecResult> {
    const { host = "m1", by = [], more = [] } = options;
    return cluster.lab.exec(host, [
      ...by,
      process.execPath,
      PAN,
      "agent",
      `--config=${options.config ?? inFolder("cluster.yaml")}`,
      `--bundle=${options.bundle ?? inFolder("m1.bundle")}`,
      `--state-folder=${options.state ?? path.join(scratch, "state")}`,
      `--socket=${path.join(scratch, "agent.sock")}`,
      ...more,
    ]);
  }

  /** It ends with status 1 and one message with this code, and has changed nothing. */
  async function refused(code: string, says: RegExp, options: Start): Promise<void> {
    const { status, stderr } = await start(options);
    assert.match(stderr, new RegExp(String.raw`^pan: [\s\S]* \[${code}\]\n$`));
    assert.match(stderr, says);
    assert.doesNotMatch(stderr, /^\s+at /m, "no stack trace");
    assert.equal(status, 1);
    assert.deepEqual(await tracesOf(cluster.lab, options.host ?? "m1"), clean);
  }

  async function bundleOf(
    file: string,
    request: Partial<NodeRequest>,
    from: { readonly ca?: string; readonly now?: Date } = {},
  ): Promise<string> {
    const whole: NodeRequest = {
      name: "m1",
      id: nodeId(1),
      address: ip("10.77.0.11"),
      days: 1,
      ...request,
    };
    const bundle = await issueNode(from.ca ?? inFolder("ca"), whole, from.now ?? new Date());
    writeBundle(path.join(scratch, file), bundle);
    chmodSync(path.join(scratch, file), 0o600);
    return path.join(scratch, file);
  }

  test("A19: a bundle of another CA with the same cluster name is refused", async () => {
    const ca = path.join(scratch, "other-ca");
    await createCa(ca, name);
    const bundle = await bundleOf("foreign.bundle", {}, { ca });
    await refused("PAN_BUNDLE_FOREIGN", /CA/, { bundle });
  });

  test("A19: an expired certificate, and one that is not yet valid, are refused", async () => {
    const now = Date.now();
    const old = await bundleOf("old.bundle", {}, { now: new Date(now - 2 * DAY_MS) });
    await refused("PAN_BUNDLE_EXPIRED", /expired|ended/i, { bundle: old });
    // the CA itself must be older than what it issues: only the node's certificate lies in the future
    const early = await bundleOf("early.bundle", {}, { now: new Date(now + 2 * DAY_MS) });
    await refused("PAN_BUNDLE_NOT_YET_VALID", /clock/i, { bundle: early });
  });

  test("A19: a revoked certificate is refused, by the configuration's list and by the bundle's own", async () => {
    const bundle = await bundleOf("revoked.bundle", {});
    const issued = readFileSync(inFolder("ca/issued.jsonl"), "utf8").trim().split("\n").at(-1);
    const { serial } = JSON.parse(issued ?? "{}") as { serial: string };
    const config = path.join(scratch, "revoking.yaml");
    const yaml = readFileSync(inFolder("cluster.yaml"), "utf8");
    writeFileSync(config, `${yaml}revoked: ["${serial}"]\n`);
    await refused("PAN_BUNDLE_REVOKED", /revo/i, { bundle, config });
  });

  test("A19: a bundle that was changed, or cut short, or that others can read, is refused", async () => {
    const bundle = path.join(scratch, "changed.bundle");
    const text = readFileSync(inFolder("m1.bundle"), "utf8");
    const write = (content: string, mode = 0o600): void => {
      writeFileSync(bundle, content);
      chmodSync(bundle, mode);
    };
    write(text.replace("10.77.0.100", "10.77.0.101"));
    await refused("PAN_BUNDLE_SIGNATURE", /changed|signed/, { bundle });
    write(text.slice(0, 700));
    await refused("PAN_BUNDLE_UNREADABLE", /bundle/, { bundle });
    write(text, 0o644);
    await refused("PAN_BUNDLE_PERMISSIONS", /chmod 0600/, { bundle });
    await refused("PAN_BUNDLE_UNREADABLE", /Copy the file again/, {
      bundle: "/nonexistent/bundle",
    });
  });

  test("A19: a bundle of a node that the configuration does not list so is refused", async () => {
    const stranger = await bundleOf("m9.bundle", { name: "m9", id: nodeId(9) });
    await refused("PAN_CONFIG_INVALID", /node m9 .*pan node add/, { bundle: stranger });
    const other = await bundleOf("m1-as-12.bundle", { address: ip("10.77.0.12") });
    await refused("PAN_CONFIG_INVALID", /10\.77\.0\.12/, { bundle: other });
  });

  test("A bad configuration is refused with every problem, its line and a remedy", async () => {
    const config = path.join(scratch, "bad.yaml");
    const yaml = readFileSync(inFolder("cluster.yaml"), "utf8");
    const bad = yaml
      .replace("- name: web", "- name: web\n    nodes: [{ name: m1, weight: 0 }]")
      .replace("10.77.0.12", "10.77.0.11")
      .replace("10.77.0.100:80", "10.77.0.11:80")
      .concat("vips: [10.77.0.200, 10.77.0.200]\ndetecton: { intervalMs: 5 }\n");
    writeFileSync(config, bad);
    const problems = [
      /has 5 problems/,
      /bad\.yaml:\d+:\d+: detecton: .*"detection"/,
      /every weight is 0; give at least one/,
      /10\.77\.0\.200 is used twice/,
      /the node address 10\.77\.0\.11 is used twice/,
      /10\.77\.0\.11 is a node's own address/,
    ];
    const all = new RegExp(problems.map(({ source }) => `(?=[^]*${source})`).join(""));
    await refused("PAN_CONFIG_INVALID", all, { config });
    await refused("PAN_CONFIG_UNREADABLE", /--config/, { config: "/nonexistent/cluster.yaml" });
  });

  test("No root, or one capability less: the message names what is missing", async () => {
    const nobody = ["setpriv", "--reuid=65534", "--regid=65534", "--clear-groups"];
    await refused("PAN_NOT_ROOT", /CAP_NET_ADMIN, CAP_NET_RAW, CAP_BPF.*as root/, { by: nobody });
    const noBpf = ["setpriv", "--bounding-set=-bpf", "--inh-caps=-all"];
    await refused("PAN_NOT_ROOT", /^pan: The agent lacks CAP_BPF\. /, { by: noBpf });
  });

  test("An interface that is not there, and an address that is not on it, are named", async () => {
    await refused("PAN_INTERFACE_MISSING", /no network interface eth7\. It has .*eth0/s, {
      more: ["--interface=eth7"],
    });
    const moved = path.join(scratch, "moved.yaml");
    const yaml = readFileSync(inFolder("cluster.yaml"), "utf8").replace("10.77.0.11", "10.77.0.99");
    writeFileSync(moved, yaml);
    const bundle = await bundleOf("moved.bundle", { address: ip("10.77.0.99") });
    await refused(
      "PAN_ADDRESS_MISSING",
      /eth0 does not have the address 10\.77\.0\.99.*ip address add/,
      {
        bundle,
        config: moved,
      },
    );
  });

  test("A2: two machines with one address: the later one stays out and names the other's MAC", async () => {
    const { lab } = cluster;
    const { members } = await cluster.status("m2");
    const mac = members.find((member) => member.name === "m2")?.mac ?? "";
    assert.equal(
      (await lab.exec("m1", ["ip", "a", "add", "10.77.0.12/32", "dev", "eth0"])).status,
      0,
    );
    const before = clean;
    clean = await tracesOf(lab, "m1");
    try {
      const says = new RegExp(`${mac} .*already uses 10.77.0.12`);
      await refused("PAN_ADDRESS_IN_USE", says, { bundle: inFolder("m2.bundle") });
    } finally {
      await lab.exec("m1", ["ip", "a", "del", "10.77.0.12/32", "dev", "eth0"]);
      clean = before;
    }
  });

  test("A second agent on a host, and --teardown beside a running one, are refused", async () => {
    const before = await tracesOf(cluster.lab, "m2");
    const second = await start({ host: "m2", bundle: inFolder("m2.bundle") });
    assert.equal(second.status, 1);
    assert.match(second.stderr, /process \d+.*pan status.*\[PAN_AGENT_RUNNING\]/s);
    const state = path.join(cluster.lab.folder("m2"), "state");
    const words = ["--teardown", `--state-folder=${state}`, "--socket", socketOf(cluster, "m2")];
    const teardown = await panIn(cluster.lab, "m2", ["agent", ...words]);
    assert.equal(teardown.status, 1);
    assert.match(teardown.stderr, /\[PAN_AGENT_RUNNING\]/);
    assert.deepEqual(await tracesOf(cluster.lab, "m2"), before);
    assert.equal((await cluster.status("m2")).node.role, "master");
  });

  test("State files that are damaged: refused with a remedy, nothing touched", async () => {
    const state = path.join(scratch, "damaged");
    const damaged = async (file: string, code: string, says: RegExp): Promise<void> => {
      rmSync(state, { recursive: true, force: true });
      mkdirSync(state, { mode: 0o700 });
      writeFileSync(path.join(state, file), '{"version":{"coun');
      await refused(code, says, { state });
    };
    await damaged("config.json", "PAN_STATE_UNREADABLE", /config\.json is damaged; remove it/);
    await damaged("host-changes.json", "PAN_STATE_UNREADABLE", /host-changes\.json/);
  });

  test("A start that fails half-way leaves no address, program, lock or socket", async () => {
    const { lab } = cluster;
    const state = path.join(scratch, "half");
    const blocked = async (what: string, says: RegExp, code: string): Promise<void> => {
      const script = `${what}, () => console.log("taken")); setInterval(() => {}, 1000);`;
      const other = lab.spawn("m1", [process.execPath, "-e", script], {
        stdio: ["ignore", "pipe", "inherit"],
      });
      const ended = once(other, "close");
      try {
        await once(other.stdout ?? other, "data");
        await refused(code, says, { state });
      } finally {
        other.kill("SIGKILL");
        await ended;
      }
    };
    const tcp = `require("net").createServer().listen(7450, "10.77.0.11"`;
    await blocked(tcp, /10\.77\.0\.11 port 7450/, "PAN_SYSCALL");
    const udp = `require("dgram").createSocket("udp4").bind(7450`;
    await blocked(udp, /7450/, "PAN_AGENT_RUNNING");
    const long = path.join(scratch, "x".repeat(100), "agent.sock");
    await refused("PAN_SYSCALL", /107 bytes/, { state, more: [`--socket=${long}`] });
    assert.ok(!readdirSync(state).some((file) => /lock|sock|host-changes/.test(file)));
    const lock = `/run/panoply/netns-${statSync(lab.netns("m1")).ino}.lock`;
    assert.equal(existsSync(lock), false);
  });

  test("A19: a start that fails once the packet program is there takes it away again", async () => {
    const source = (file: string): string => JSON.stringify(path.join(root, "src", file));
    const refusing = path.join(scratch, "refusing.mjs");
    writeFileSync(
      refusing,
      `import { PanError } from ${source("base/error-codes.ts")};
import { TcpConnections } from ${source("driver/netlink/tcp-connections.ts")};
TcpConnections.open = () => { throw new PanError("PAN_SYSCALL", "no connections today"); };
`,
    );
    const state = path.join(scratch, "late");
    const by = ["env", `NODE_OPTIONS=--import=${refusing}`];
    await refused("PAN_SYSCALL", /no connections today/, { state, by });
  });

  test("--teardown on a host that never had an agent says so", async () => {
    const state = `--state-folder=${path.join(scratch, "never")}`;
    const { status, stderr } = await panIn(cluster.lab, "m1", ["agent", "--teardown", state]);
    assert.equal(status, 1);
    assert.match(stderr, /No agent has run .*\[PAN_NOT_FOUND\]/);
  });
});
