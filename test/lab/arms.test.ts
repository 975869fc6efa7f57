// A22: members with two interfaces for client traffic. A virtual address of the second network is answered for there and
// served by every member, though members talk to each other by the first one only.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { findNetdev } from "#driver/bpf/netdev.ts";
import { attachedProgram } from "#driver/bpf/attachment.ts";
import { inNetns } from "#driver/libc.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { endAgent } from "./agent-bench.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";
const { inside, vip4, vip6 } = STANDARD;
const GROUPS = `groups:
  - name: web
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80", "tcp ${inside.vip4}:80", "tcp [${inside.vip6}]:80"]
`;

describe("A22: two arms", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: `t${process.pid}-arms`,
      members: 2,
      twoArmed: true,
      groups: GROUPS,
      extraHosts: [
        {
          name: "c2",
          links: [{ switch: inside.switch, addresses: ["10.88.0.2/24", "fd88::2/64"] }],
        },
      ],
      downOnExit: true,
    });
    await cluster.settled();
  });
  after(() => cluster.down());

  const exec = (host: string, ...argv: string[]) => cluster.lab.exec(host, argv);
  const servers = async (host: string, vip: string): Promise<string[]> => {
    const url = `http://${vip.includes(":") ? `[${vip}]` : vip}/whoami`;
    const { stdout } = await exec(
      host,
      "sh",
      "-c",
      `for i in $(seq 30); do curl -s -m 2 ${url}; done`,
    );
    return stdout.trim().split("\n");
  };

  /** Whose agent is left. */
  const lastMember = async (): Promise<string> => {
    const answers = await Promise.allSettled(cluster.members.map((name) => cluster.status(name)));
    const alive = answers.flatMap((answer) =>
      answer.status === "fulfilled" ? [answer.value.node.name] : [],
    );
    assert.equal(alive.length, 1);
    return alive[0] ?? "";
  };

  for (const [host, vip] of [
    ["c1", vip4],
    ["c1", vip6],
    ["c2", inside.vip4],
    ["c2", inside.vip6],
  ] as const) {
    test(`A22: ${host} is served at ${vip} by both members`, async () => {
      const seen = await servers(host, vip);
      assert.equal(seen.length, 30);
      assert.deepEqual([...new Set(seen)].sort(), ["m1", "m2"]);
    });
  }

  test("A22: the interface node has each virtual address in its own network, and nobody elsewhere", async () => {
    const master = await cluster.master();
    for (const [port, mine, other] of [
      ["eth0", vip4, inside.vip4],
      ["eth1", inside.vip4, vip4],
    ] as const) {
      const { stdout } = await exec(master, "ip", "-oneline", "address", "show", "dev", port);
      assert.ok(stdout.includes(` ${mine}/32 `), stdout);
      assert.ok(!stdout.includes(` ${other}/`), stdout);
    }
    const { stdout } = await exec("c2", "ip", "neigh", "show", inside.vip4);
    const { stdout: link } = await exec(master, "ip", "-oneline", "link", "show", "dev", "eth1");
    const mac = / link\/ether (\S+)/.exec(link)?.[1];
    assert.ok(mac !== undefined && stdout.includes(mac), `${stdout} should name ${mac}`);
  });

  test("A22: an agent whose arm loses its link leaves and says why", async () => {
    const member = (await cluster.master()) === "m1" ? "m2" : "m1";
    const other = member === "m1" ? "m2" : "m1";
    await cluster.lab.faults.link(member, "down", inside.interface);
    await cluster.settled([other]);
    assert.deepEqual([...new Set(await servers("c2", inside.vip4))], [other]);
    const log = await exec(other, "cat", `${cluster.lab.folder(member)}/agent.log`);
    assert.match(log.stdout, /The arm eth1 has no link.*PAN_INTERFACE_DOWN/);
  });

  test("A22: teardown takes program, addresses and settings from both interfaces", async () => {
    const member = await lastMember();
    await endAgent(cluster, member, "SIGKILL");
    const agent = cluster.lab.folder(member);
    const { status, stdout, stderr } = await exec(
      member,
      process.execPath,
      "src/cli/main.ts",
      "agent",
      "--teardown",
      `--state-folder=${agent}/state`,
      `--socket=${agent}/agent.sock`,
    );
    assert.equal(status, 0, stderr);
    for (const port of ["eth0", "eth1"]) {
      assert.ok(stdout.includes(`removed the packet program from ${port}`), stdout);
      inNetns(cluster.lab.netns(member), () => {
        const ifindex = findNetdev(port)?.ifindex ?? 0;
        assert.equal(attachedProgram(ifindex, "tc"), undefined);
      });
      const left = await exec(member, "ip", "-oneline", "address", "show", "dev", port);
      assert.ok(!left.stdout.includes(".100/32"), left.stdout);
      const clsact = await exec(member, "tc", "qdisc", "show", "dev", port);
      assert.ok(!clsact.stdout.includes("clsact"), clsact.stdout);
      const sysctl = await exec(member, "cat", `/proc/sys/net/ipv4/conf/${port}/arp_ignore`);
      assert.equal(sysctl.stdout.trim(), "0");
    }
  });
});
