// B11 in a real cluster: a member behind a router is reached by IP in IP or Geneve, by IPv4 and IPv6, and answers clients directly. What
// does not fit into the tunnel is told to the client, who then sends less at once. Connections live through moves of their slots to and
// fro, across the router; the member behind it is never master.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { ipBatch } from "#lab/ip.ts";
import type { ExecResult } from "#lab/lab.ts";
import { netnsName } from "#lab/record.ts";
import { STANDARD } from "#lab/standard.ts";
import { root } from "#tools/steps.ts";
import { ECHO_PORT, EchoConnections, echoServer } from "../../bench/failover-connections.ts";
import {
  answerers,
  bytesReceived,
  CALM,
  endAgent,
  hasAgent,
  labName,
  skip,
  startAgent,
  until,
} from "./agent-bench.ts";

const REMOTE = "m3";
const UPLOAD_PORT = 8080;
const UPLOAD_BYTES = 3_000_000;
const CONNECTIONS = 60;
const SHORT_LINK = 1400;
const VIPS = [STANDARD.vip4, `[${STANDARD.vip6}]`] as const;
const both = (port: number): string => VIPS.map((vip) => `"tcp ${vip}:${port}"`).join(", ");
const GROUPS = `groups:
  - name: web
    services: [${both(80)}]
  - name: upload
    assignment: lazy
    nodes: [{ name: ${REMOTE} }]
    services: [${both(UPLOAD_PORT)}]
  - name: echo
    slots: 256
    services: [${both(ECHO_PORT)}]
`;
const uploadServer = {
  name: "upload",
  argv: [
    process.execPath,
    path.join(import.meta.dirname, "checksum-server.ts"),
    "1500000",
    `${UPLOAD_PORT}`,
  ],
  ready: { tcp: UPLOAD_PORT },
};

async function curl(cluster: LabCluster, ...words: readonly string[]): Promise<string> {
  const argv = ["curl", "-sS", "--max-time", "20", ...words];
  const { status, stdout, stderr } = await cluster.lab.exec(STANDARD.client, argv);
  assert.equal(status, 0, stderr);
  return stdout;
}

/** Answers the digest of what has arrived. */
const upload = (cluster: LabCluster, vip: string, file: string): Promise<string> =>
  curl(cluster, "--upload-file", file, `http://${vip}:${UPLOAD_PORT}/up`);

/** Who serves so many new connections. */
const serving = async ({ lab }: LabCluster, vip: string, count: number): Promise<string[]> =>
  [...(await answerers(lab, vip, count)).keys()].sort();

const allAreMembers = (cluster: LabCluster): Promise<unknown> =>
  cluster.until("all are members", ({ members }) =>
    members.every(({ state }) => state !== "departed"),
  );

/** The slots of "upload" get an owner when a packet wants one: it waits, and the agent sends it into the tunnel (A15). */
async function lazilySettled(cluster: LabCluster): Promise<void> {
  await allAreMembers(cluster);
  await until("the first packet is served", async () => {
    const argv = ["curl", "-s", "--max-time", "5", `http://${STANDARD.vip4}:${UPLOAD_PORT}/`];
    const { status } = await cluster.lab.exec(STANDARD.client, argv);
    return status === 0;
  });
  await cluster.settled();
  const { assignment } = await cluster.status(await cluster.master());
  const released = assignment.held.find(({ reason }) => reason === "released");
  assert.ok((released?.count ?? 0) > 0, "it had waited");
}

/** By reason; those that never came are absent. */
async function counted(cluster: LabCluster, member: string): Promise<Record<string, number>> {
  const { datapath } = await cluster.status(member);
  return Object.fromEntries(datapath.counters.map(({ reason, count }) => [reason, count]));
}

function bodyToSend(cluster: LabCluster): { readonly file: string; readonly digest: string } {
  const file = path.join(cluster.lab.folder(STANDARD.client), "up");
  const body = randomBytes(UPLOAD_BYTES);
  writeFileSync(file, body);
  return { file, digest: createHash("sha256").update(body).digest("hex") };
}

for (const [kind, overhead] of [
  ["ipip", 20],
  ["geneve", 44],
] as const) {
  describe(`B11: a member beyond the segment, by ${kind}`, { skip }, () => {
    let cluster: LabCluster;

    before(async () => {
      cluster = await LabCluster.up({
        name: labName(`beyond-${kind}`),
        members: 3,
        remote: 1,
        groups: GROUPS,
        memberConfig: ({ remote }) => (remote === true ? `delivery: ${kind}` : "delivery: direct"),
        programs: (member) => [uploadServer, echoServer(member)],
        extraConfig: CALM,
        downOnExit: true,
      });
      await lazilySettled(cluster);
    });
    after(() => cluster?.down());

    const inClient = (...argv: string[]): Promise<ExecResult> =>
      cluster.lab.exec(STANDARD.client, argv);

    test("every member serves, by IPv4 and IPv6, also the one behind the router", async () => {
      for (const vip of VIPS) {
        assert.deepEqual(await serving(cluster, vip, 60), [...cluster.members]);
      }
    });

    test("it answers clients directly: nothing of a download passes the interface node", async () => {
      const master = await cluster.master();
      const before = await bytesReceived(cluster.lab, master);
      const served = await curl(
        cluster,
        "--output",
        "/dev/null",
        "--write-out",
        "%{size_download}",
        `http://${STANDARD.vip4}:${UPLOAD_PORT}/`,
      );
      assert.equal(served, "1500000");
      const grown = (await bytesReceived(cluster.lab, master)) - before;
      assert.ok(grown < 500_000, `${grown} bytes came to the interface node`);
    });

    test("what does not fit is told to the client, and an upload arrives whole", async () => {
      const master = await cluster.master();
      const { file, digest } = bodyToSend(cluster);
      for (const vip of VIPS) {
        assert.equal(await upload(cluster, vip, file), digest, vip);
        const route = await inClient("ip", "route", "get", vip.replaceAll(/[[\]]/g, ""));
        assert.match(route.stdout, new RegExp(`mtu ${1500 - overhead}\\b`), vip);
      }
      const reached = await counted(cluster, master);
      assert.ok((reached["drop-too-big"] ?? 0) > 0, "dropped and counted");
      const { assignment } = await cluster.status(master);
      const told = assignment.held.find(({ reason }) => reason === "tooBigTold");
      assert.ok((told?.count ?? 0) > 0, "told and counted");
      assert.equal(reached["drop-tunnel"] ?? 0, 0);
    });

    test("a link further on is shorter: its router tells the interface node, and that the client", async () => {
      const inRouter = async (mtu: number): Promise<void> => {
        const line = ["ip", "link", "set", "dev", "eth1", "mtu", String(mtu)];
        const { status, stderr } = await cluster.lab.exec(STANDARD.beyond.router, line);
        assert.equal(status, 0, stderr);
      };
      await inRouter(SHORT_LINK);
      try {
        const { file, digest } = bodyToSend(cluster);
        for (const vip of VIPS) {
          assert.equal(await upload(cluster, vip, file), digest, vip);
          const route = await inClient("ip", "route", "get", vip.replaceAll(/[[\]]/g, ""));
          assert.match(route.stdout, new RegExp(`mtu ${SHORT_LINK - overhead}\\b`), vip);
        }
      } finally {
        await inRouter(1500);
      }
    });

    test("connections live through moves of their slots to and fro across the router", async () => {
      const client = cluster.client("m1");
      const weigh = async (node: string, weight: number): Promise<void> => {
        await client.setWeight({ params: { group: "echo", node }, body: { weight } });
        await cluster.until(`${node} has weight ${weight}`, ({ groups }) =>
          (groups.find(({ name }) => name === "echo")?.shares ?? []).every(
            (share) => share.node !== node || (weight === 0) === (share.slots === 0),
          ),
        );
      };
      const connections = await EchoConnections.open(cluster.lab, CONNECTIONS, STANDARD.vip4);
      for (const node of [REMOTE, "m2"]) {
        await weigh(node, 0);
        await weigh(node, 1);
      }
      const { broken, servers } = await connections.finish();
      assert.deepEqual(broken, []);
      assert.ok((servers[REMOTE] ?? 0) > 0, "some were at the member behind the router");
    });

    test("the master dies: one on the segment follows, and the member behind the router serves on", async () => {
      const master = await cluster.master();
      const [heir = ""] = cluster.members.filter((name) => name !== master && name !== REMOTE);
      await cluster.lab.faults.kill(master);
      await cluster.until(`${heir} is master`, (status) => status.cluster.master === heir, heir);
      await cluster.until(
        "the member behind the router is one",
        ({ members }) => members.some(({ name, state }) => name === REMOTE && state !== "departed"),
        heir,
      );
      await until(
        "both serve",
        async () => (await serving(cluster, STANDARD.vip4, 40)).length === 2,
      );
      await cluster.lab.faults.revive(master);
      await cluster.settled();
    });

    test("without anybody on the segment it is no master, and it is a member again when they are back", async () => {
      const near = cluster.members.filter((name) => name !== REMOTE);
      for (const name of near)
        if (hasAgent(cluster, name)) await endAgent(cluster, name, "SIGTERM");
      await cluster.until("it looks for a master", (s) => s.cluster.master === undefined, REMOTE);
      for (const name of near) await startAgent(cluster, name);
      await allAreMembers(cluster);
    });
  });
}

/** What native XDP on veth needs (docs/howto/troubleshooting.md): whole checksums from every sender, and a program at the other end. */
async function readyForXdp({ lab, members }: LabCluster): Promise<void> {
  for (const host of [...members, STANDARD.client, STANDARD.beyond.router]) {
    const { status, stderr } = await lab.exec(host, [
      "ethtool",
      "-K",
      STANDARD.interface,
      "tx",
      "off",
    ]);
    assert.equal(status, 0, stderr);
  }
  await lab.exec(STANDARD.beyond.router, ["ethtool", "-K", "eth1", "tx", "off"]);
  const passes = path.join(root, "bpf/build/generator.o");
  for (const member of members) {
    const segment = member === members.at(-1) ? STANDARD.beyond.switch : STANDARD.switch;
    const line = `link set dev p-${member} xdpdrv object ${passes} program pass`;
    await ipBatch([line], netnsName(lab.name, segment));
  }
}

describe("B11: a member beyond the segment, by XDP, with clamped segments", { skip }, () => {
  for (const kind of ["ipip", "geneve"] as const) {
    test(`${kind}: it serves by both families, and an upload arrives whole without an ICMP message`, async () => {
      const cluster = await LabCluster.up({
        name: labName(`bx-${kind}`),
        members: 2,
        remote: 1,
        groups: GROUPS.replaceAll(REMOTE, "m2"),
        memberConfig: ({ remote }) =>
          remote === true ? `delivery: ${kind}, clampMss: true` : "delivery: direct",
        programs: () => [uploadServer],
        extraConfig: `${CALM}datapath: { hook: xdp }\n`,
        downOnExit: true,
      });
      try {
        await readyForXdp(cluster);
        await lazilySettled(cluster);
        const { file, digest } = bodyToSend(cluster);
        for (const vip of VIPS) {
          assert.deepEqual(await serving(cluster, vip, 30), ["m1", "m2"]);
          assert.equal(await upload(cluster, vip, file), digest);
        }
        const { datapath } = await cluster.status("m1");
        assert.equal(datapath.hook, "xdp");
        assert.equal((await counted(cluster, "m1"))["drop-too-big"] ?? 0, 0);
      } finally {
        await cluster.down();
      }
    });
  }
});
