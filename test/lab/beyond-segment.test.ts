// B11 in a real cluster: a member behind a router is reached by IP in IP or Geneve, by IPv4 and IPv6, and answers clients directly. What
// does not fit into the tunnel is told to the client, who then sends less at once. Connections live through moves of their slots to and
// fro, across the router; the member behind it is never master.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import type { ExecResult } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";
import { ECHO_PORT, EchoConnections, echoServer } from "../../bench/failover-connections.ts";
import { CALM, endAgent, hasAgent, labName, skip, startAgent, until } from "./agent-bench.ts";

const REMOTE = "m3";
const UPLOAD_PORT = 8080;
const UPLOAD_BYTES = 3_000_000;
const CONNECTIONS = 60;
const VIPS = [STANDARD.vip4, `[${STANDARD.vip6}]`] as const;
const both = (port: number): string => VIPS.map((vip) => `"tcp ${vip}:${port}"`).join(", ");
const GROUPS = `groups:
  - name: web
    services: [${both(80)}]
  - name: upload
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
      await cluster.settled();
    });
    after(() => cluster?.down());

    const inClient = (...argv: string[]): Promise<ExecResult> =>
      cluster.lab.exec(STANDARD.client, argv);

    async function ask(...words: readonly string[]): Promise<string> {
      const argv = ["curl", "-sS", "--max-time", "20", ...words];
      const { status, stdout, stderr } = await inClient(...argv);
      assert.equal(status, 0, stderr);
      return stdout;
    }

    async function reasons(member: string): Promise<Record<string, number>> {
      const { datapath } = await cluster.status(member);
      return Object.fromEntries(datapath.counters.map(({ reason, count }) => [reason, count]));
    }

    const bytesOf = async (member: string, direction: "rx" | "tx"): Promise<number> => {
      const argv = ["ip", "-s", "-j", "link", "show", "dev", STANDARD.interface];
      const { stdout } = await cluster.lab.exec(member, argv);
      const [link] = JSON.parse(stdout) as { stats64: Record<"rx" | "tx", { bytes: number }> }[];
      return link?.stats64[direction].bytes ?? Number.NaN;
    };

    test("every member serves, by IPv4 and IPv6, also the one behind the router", async () => {
      for (const vip of VIPS) {
        const answers = await ask("--header", "Connection: close", `http://${vip}/whoami?[1-60]`);
        assert.deepEqual([...new Set(answers.trim().split("\n"))].sort(), [...cluster.members]);
      }
    });

    test("it answers clients directly: nothing of a download passes the interface node", async () => {
      const master = await cluster.master();
      const before = await bytesOf(master, "rx");
      const served = await ask(
        "--output",
        "/dev/null",
        "--write-out",
        "%{size_download}",
        `http://${STANDARD.vip4}:${UPLOAD_PORT}/`,
      );
      assert.equal(served, "1500000");
      const grown = (await bytesOf(master, "rx")) - before;
      assert.ok(grown < 500_000, `${grown} bytes came to the interface node`);
    });

    test("what does not fit is told to the client, and an upload arrives whole", async () => {
      const master = await cluster.master();
      const file = path.join(cluster.lab.folder(STANDARD.client), "up");
      const body = randomBytes(UPLOAD_BYTES);
      writeFileSync(file, body);
      const digest = createHash("sha256").update(body).digest("hex");
      for (const vip of VIPS) {
        const answer = await ask("--upload-file", file, `http://${vip}:${UPLOAD_PORT}/up`);
        assert.equal(answer, digest, vip);
        const route = await inClient("ip", "route", "get", vip.replaceAll(/[[\]]/g, ""));
        assert.match(route.stdout, new RegExp(`mtu ${1500 - overhead}\\b`), vip);
      }
      const counted = await reasons(master);
      assert.ok((counted["drop-too-big"] ?? 0) > 0, "dropped and counted");
      const { assignment } = await cluster.status(master);
      const told = assignment.held.find(({ reason }) => reason === "tooBigTold");
      assert.ok((told?.count ?? 0) > 0, "told and counted");
      assert.equal(counted["drop-tunnel"], 0);
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
      await until("both serve", async () => {
        const answers = await ask(
          "--header",
          "Connection: close",
          `http://${STANDARD.vip4}/whoami?[1-40]`,
        );
        return new Set(answers.trim().split("\n")).size === 2;
      });
      await cluster.lab.faults.revive(master);
      await cluster.settled();
    });

    test("without anybody on the segment it is no master, and it is a member again when they are back", async () => {
      const near = cluster.members.filter((name) => name !== REMOTE);
      for (const name of near)
        if (hasAgent(cluster, name)) await endAgent(cluster, name, "SIGTERM");
      await cluster.until("it looks for a master", (s) => s.cluster.master === undefined, REMOTE);
      for (const name of near) await startAgent(cluster, name);
      await cluster.settled();
    });
  });
}
