// A16 with real agents and a stock curl: the member that serves a download dies without a word, and the download ends with the right bytes.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CheckedDownload, writeMarked } from "../../bench/sessions/checked-download.ts";
import { serverOf } from "../../bench/sessions/connections.ts";
import { CALM, labName, skip, until } from "./agent-bench.ts";
import { replicated, served, serveFiles } from "./session-bench.ts";

const PORT = 8080;
const GROUPS = `groups:
  - name: files
    services: ["tcp ${STANDARD.vip4}:${PORT}", "tcp [${STANDARD.vip6}]:${PORT}"]
`;
/** Of the file. PANOPLY_TRANSFER_BYTES=1073741824 is what part A promises, 5368709120 goes beyond what 32-bit numbers can tell apart. */
const LARGE = Number(process.env["PANOPLY_TRANSFER_BYTES"] ?? 0);
const BYTES = LARGE || 48 * 1024 * 1024;
const CURL = ["--limit-rate", LARGE > 0 ? "200M" : "8M"];
/** The fault comes when so much has: in the middle, of a large file beyond 4 GiB. */
const FIRST = BYTES > 2 ** 32 ? (2 ** 32 + BYTES) / 2 : BYTES / (LARGE > 0 ? 2 : 8);

describe("A16: sessions in a cluster", { skip }, () => {
  let cluster: LabCluster;
  let folder: string;
  let sha256: string;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "pan-sessions-"));
    sha256 = writeMarked(path.join(folder, "big.bin"), BYTES);
    const name = labName("sess");
    cluster = await LabCluster.up({
      ...{ name, members: 3, groups: GROUPS, extraConfig: CALM, downOnExit: true },
    });
    await cluster.settled();
    for (const member of cluster.members) await serveFiles(cluster, member, { folder, port: PORT });
  });
  after(async () => {
    await cluster.down();
    rmSync(folder, { recursive: true });
  });

  /** A download that a fault meets in its middle; answers the member that it met. */
  async function download(host: string, fault: (server: string) => Promise<void>): Promise<string> {
    await replicated(cluster);
    const url = `http://${host}:${PORT}/big.bin`;
    const download = new CheckedDownload(cluster.lab, url, CURL);
    await download.reach(FIRST);
    const server = await serverOf(cluster, PORT);
    download.go();
    await fault(server);
    const whole = { status: 0, complaint: "", bytes: BYTES, sha256 };
    assert.deepEqual(await download.end(), whole);
    return server;
  }

  for (const [family, host] of [
    ["IPv4", STANDARD.vip4],
    ["IPv6", `[${STANDARD.vip6}]`],
  ] as const) {
    test(`A16: ${family}: a download outlives the member that served it`, async () => {
      const dead = await download(host, (server) => cluster.lab.faults.kill(server));
      await cluster.lab.faults.revive(dead);
      await cluster.settled();
      await serveFiles(cluster, dead, { folder, port: PORT });
    });
  }

  test("A16: a member that was frozen and runs again does not speak for a session that another one has", async () => {
    const { faults } = cluster.lab;
    const frozen = await download(STANDARD.vip4, async (server) => {
      await faults.freeze(server);
      const others = cluster.members.filter((member) => member !== server);
      await until("another member has the connection", async () => {
        return (await served(cluster, PORT, others)) > 0;
      });
      await faults.thaw(server);
    });
    await until("the frozen one has let go of it", async () => {
      return (await served(cluster, PORT, [frozen])) === 0;
    });
    await cluster.settled();
  });
});
