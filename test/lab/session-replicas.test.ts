// A16, docs/adr/0033: each session is held by one other member of three, and the server dies, and then the next one: whoever a session
// falls to mostly does not hold it. Stock curls, each with the right bytes at its end.
import assert from "node:assert/strict";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/contract.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CheckedDownload, writeMarked } from "../../bench/sessions/checked-download.ts";
import { living } from "../../bench/sessions/connections.ts";
import { CALM, labName, panOk, skip, until } from "./agent-bench.ts";
import { replicated, served, serveFiles } from "./session-bench.ts";

const PORT = 8080;
const GROUPS = `groups:
  - name: files
    services: ["tcp ${STANDARD.vip4}:${PORT}", "tcp [${STANDARD.vip6}]:${PORT}"]
`;
const BYTES = 12 * 1024 * 1024;
const CLIENTS = 16;
/** Of each download, before a member dies. */
const FIRST = 1024 * 1024;

type Sessions = Status["sessions"][number];

describe("A16: sessions that one of three other members holds", { skip }, () => {
  let cluster: LabCluster;
  let folder: string;
  let sha256: string;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "pan-replicas-"));
    sha256 = writeMarked(path.join(folder, "big.bin"), BYTES);
    const name = labName("repl");
    cluster = await LabCluster.up({
      ...{ name, members: 4, groups: GROUPS, extraConfig: CALM, downOnExit: true },
    });
    await cluster.settled();
    for (const member of cluster.members) await start(member);
  });
  after(async () => {
    await cluster.down();
    rmSync(folder, { recursive: true });
  });

  const start = (member: string): Promise<void> =>
    serveFiles(cluster, member, { folder, port: PORT, options: ["--replicas", "1"] });

  const reports = async (): Promise<Sessions[]> => {
    const all = await Promise.all(living(cluster).map((member) => cluster.status(member)));
    return all.flatMap(({ sessions }) => sessions);
  };
  const sum = (all: readonly Sessions[], of: (each: Sessions) => number | undefined): number =>
    all.reduce((total, each) => total + (of(each) ?? 0), 0);

  /** Each session is served once, held once, and known to everybody else. */
  const spread = (others: number): Promise<void> =>
    until(`each of ${CLIENTS} sessions is held by one member`, async () => {
      const all = await reports();
      return (
        sum(all, ({ served: count }) => count) === CLIENTS &&
        sum(all, ({ held }) => held) === CLIENTS &&
        sum(all, ({ noted }) => noted) === CLIENTS * (others - 1) &&
        all.every(({ wanted, underReplicated }) => wanted === 1 && underReplicated === 0)
      );
    });

  async function busiest(): Promise<string> {
    const counts = await Promise.all(
      living(cluster).map(async (member) => ({
        member,
        count: await served(cluster, PORT, [member]),
      })),
    );
    const [first] = counts.toSorted((a, b) => b.count - a.count);
    assert.ok(first !== undefined && first.count > 0);
    return first.member;
  }

  for (const [family, host] of [
    ["IPv4", STANDARD.vip4],
    ["IPv6", `[${STANDARD.vip6}]`],
  ] as const) {
    test(`A16: ${family}: ${CLIENTS} downloads outlive the member that serves most of them, and then the next`, async () => {
      await replicated(cluster);
      const url = `http://${host}:${PORT}/big.bin`;
      const more = ["--limit-rate", "2M"];
      const downloads = Array.from(
        { length: CLIENTS },
        () => new CheckedDownload(cluster.lab, url, more),
      );
      await Promise.all(downloads.map((download) => download.reach(FIRST)));
      await spread(3);
      const shown = await panOk(cluster, cluster.members[0] ?? "", "status");
      assert.match(shown, /serve-files .* 3 of 3, 1 each/);

      const dead: string[] = [];
      let fetched = 0;
      for (const others of [2, 1]) {
        const server = await busiest();
        fetched += sum((await cluster.status(server)).sessions, (each) => each.fetched);
        for (const download of downloads) download.go();
        await cluster.lab.faults.kill(server);
        dead.push(server);
        await Promise.all(downloads.map((download) => download.reach((dead.length + 1) * FIRST)));
        await spread(others);
      }
      for (const download of downloads) download.go();
      const ends = await Promise.all(downloads.map((download) => download.end()));
      for (const end of ends) {
        assert.deepEqual(end, { status: 0, complaint: "", bytes: BYTES, sha256 });
      }
      const all = await reports();
      const lost = sum(all, (each) => each.lost);
      assert.equal(lost, 0);
      fetched += sum(all, (each) => each.fetched);
      assert.ok(fetched > 0, "whom a session fell to always held it");
      for (const member of dead) await cluster.lab.faults.revive(member);
      await cluster.settled();
      for (const member of dead) await start(member);
    });
  }
});
