// A16, A18: members that do not hear each other, while the client hears all of them (docs/adr/0029): for a connection one of them speaks, and when
// another one begins to, the one before has fallen silent for good.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import type { Lab } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";
import { CheckedDownload } from "../../bench/sessions/checked-download.ts";
import { serverOf } from "../../bench/sessions/connections.ts";
import { labName, skip, until } from "./agent-bench.ts";
import { Witness } from "./delivery-bench.ts";
import { replicated, served, serveFiles } from "./session-bench.ts";

const PORT = 8080;
const GROUPS = `groups:
  - name: files
    services: ["tcp ${STANDARD.vip4}:${PORT}", "tcp [${STANDARD.vip6}]:${PORT}"]
`;
const SIZE = 32 * 1024 * 1024;
const RATE = "4M";
/** The members are separated when so much has come. */
const FIRST = 3 * 1024 * 1024;
/** For longer than the others need to take the session over. */
const APART_MS = 4000;
/** A frame with a segment from the VIP's port: when, and from which MAC. */
const FRAME = /^(\d+\.\d+) ([0-9a-f:]{17}) > /u;

interface Frame {
  readonly at: number;
  readonly from: string;
}

/** In seconds, as the capture tells times. */
const now = (): number => Date.now() / 1000;

/** Every frame of the service, from now on. */
const capture = (cluster: LabCluster, family: "ip" | "ip6"): Promise<Witness> => {
  const filter = family === "ip" ? `tcp src port ${PORT}` : `ip6[6] == 6 and ip6[40:2] == ${PORT}`;
  return Witness.capture(cluster, STANDARD.client, filter, ["-tt", "-s", "96"]);
};

function frameOf(line: string): Frame | undefined {
  const [, at = "", from = ""] = FRAME.exec(line) ?? [];
  return from === "" ? undefined : { at: Number(at), from };
}

/** Who speaks, one after the other; a member that speaks twice is there twice. */
function speakers(frames: readonly Frame[]): string[] {
  return frames.map(({ from }) => from).filter((from, index, all) => from !== all[index - 1]);
}

const begin = (lab: Lab, host: string): CheckedDownload =>
  new CheckedDownload(lab, `http://${host}:${PORT}/big.bin`, ["--limit-rate", RATE]);

describe("A16: a split between members", { skip }, () => {
  let cluster: LabCluster;
  let folder: string;
  let digest: string;

  before(async () => {
    folder = mkdtempSync(path.join(tmpdir(), "pan-split-"));
    const bytes = randomBytes(SIZE);
    writeFileSync(path.join(folder, "big.bin"), bytes);
    digest = createHash("sha256").update(bytes).digest("hex");
    cluster = await LabCluster.up({
      ...{ name: labName("split"), members: 3, groups: GROUPS, downOnExit: true },
    });
    await cluster.settled();
    for (const member of cluster.members) await serveFiles(cluster, member, { folder, port: PORT });
  });
  after(async () => {
    await cluster.down();
    rmSync(folder, { recursive: true });
  });

  for (const [family, host] of [
    ["ip", STANDARD.vip4],
    ["ip6", `[${STANDARD.vip6}]`],
  ] as const) {
    for (const who of ["the master", "another member"] as const) {
      test(`A16, A18: ${family}: ${who} serves a download and hears no other member: the others take it over when it is silent, and it stays silent`, async () => {
        await replicated(cluster);
        const master = await cluster.master();
        const witness = await capture(cluster, family);
        const { lab } = cluster;
        let [owner, attempts, begunAt] = ["", 0, now()];
        let download = begin(lab, host);
        for (;;) {
          await until("the download has begun", () => download.bytes > FIRST);
          owner = await serverOf(cluster, PORT);
          if ((owner === master) === (who === "the master")) break;
          // which member gets a connection, its port decides
          assert.ok((attempts += 1) < 40, `${who} never got a download`);
          download.giveUp();
          await until("nobody serves it", async () => (await served(cluster, PORT)) === 0);
          begunAt = now();
          download = begin(lab, host);
        }
        const others = cluster.members.filter((member) => member !== owner);
        await lab.faults.estrange([[owner], others]);
        await until("another member has the connection", async () => {
          return (await served(cluster, PORT, others)) > 0;
        });
        await new Promise((resolve) => setTimeout(resolve, APART_MS));
        const healedAt = now();
        await lab.faults.estrange([]);
        const whole = { status: 0, complaint: "", bytes: SIZE, sha256: digest };
        assert.deepEqual(await download.end(), whole);
        const frames = (await witness.end()).flatMap((line) => frameOf(line) ?? []);
        await cluster.settled();
        // others are of downloads that were given up
        const ofThis = frames.filter(({ at }) => at >= begunAt);
        const seen = speakers(ofThis.filter(({ at }) => at <= healedAt));
        const words = `spoke one after the other: ${seen.join(", ")}`;
        assert.equal(new Set(seen).size, seen.length, words);
        assert.ok(seen.length >= 2, `the session has moved; ${words}`);
        // it may go back with its work set, as planned
        const all = speakers(ofThis);
        assert.ok(all.length <= seen.length + 1, `spoke in the end: ${all.join(", ")}`);
        await until(
          "who was away has let go of it",
          async () => (await served(cluster, PORT)) === 0,
        );
      });
    }
  }
});
