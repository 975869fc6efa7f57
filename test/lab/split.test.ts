// A16, A18: members that do not hear each other, while the client hears all of them (docs/adr/0029): for a connection one of them speaks, and when
// another one begins to, the one before has fallen silent for good.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import { setTimeout as pause } from "node:timers/promises";
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

/** A cluster whose members serve a file, and its folder. */
class Scene {
  readonly cluster: LabCluster;
  readonly #folder: string;
  readonly #digest: string;

  private constructor(cluster: LabCluster, folder: string, digest: string) {
    this.cluster = cluster;
    this.#folder = folder;
    this.#digest = digest;
  }

  static async up(name: string, members: number, extraConfig = ""): Promise<Scene> {
    const folder = mkdtempSync(path.join(tmpdir(), "pan-split-"));
    const bytes = randomBytes(SIZE);
    writeFileSync(path.join(folder, "big.bin"), bytes);
    const digest = createHash("sha256").update(bytes).digest("hex");
    const cluster = await LabCluster.up({
      ...{ name: labName(name), members, groups: GROUPS, extraConfig, downOnExit: true },
    });
    await cluster.settled();
    for (const member of cluster.members) await serveFiles(cluster, member, { folder, port: PORT });
    return new Scene(cluster, folder, digest);
  }

  async down(): Promise<void> {
    await this.cluster.down();
    rmSync(this.#folder, { recursive: true });
  }

  /** One that has begun at a member of these. */
  async download(host: string, isWanted: (owner: string) => boolean): Promise<Begun> {
    const { cluster } = this;
    for (let attempts = 0; attempts < 40; attempts++) {
      const at = now();
      const download = begin(cluster.lab, host);
      await until("the download has begun", () => download.bytes > FIRST);
      const owner = await serverOf(cluster, PORT);
      if (isWanted(owner)) return { download, owner, at };
      // which member gets a connection, its port decides
      download.giveUp();
      await until("nobody serves it", async () => (await served(cluster, PORT)) === 0);
    }
    throw new Error("no such member ever got a download");
  }

  /** All hear each other again, and the download ends well. */
  async heal({ download, at: begunAt }: Begun, witness: Witness): Promise<Seen> {
    const healedAt = now();
    await this.cluster.lab.faults.estrange([]);
    const whole = { status: 0, complaint: "", bytes: SIZE, sha256: this.#digest };
    assert.deepEqual(await download.end(), whole);
    const frames = (await witness.end()).flatMap((line) => frameOf(line) ?? []);
    await this.cluster.settled();
    // others are of downloads that were given up
    const ofThis = frames.filter(({ at }) => at >= begunAt);
    const inSplit = ofThis.filter(({ at }) => at <= healedAt);
    return { all: speakers(ofThis), inSplit: speakers(inSplit) };
  }
}

/** Who spoke for a download: until all heard each other again, and until its end. */
interface Seen {
  readonly inSplit: readonly string[];
  readonly all: readonly string[];
}

interface Begun {
  readonly download: CheckedDownload;
  readonly owner: string;
  readonly at: number;
}

const KINDS = ["the master", "another member"] as const;
const isOfKind =
  (kind: (typeof KINDS)[number], master: string) =>
  (member: string): boolean =>
    (member === master) === (kind === "the master");

describe("A16: a split between members", { skip }, () => {
  let scene: Scene;
  let cluster: LabCluster;

  before(async () => {
    scene = await Scene.up("split", 3);
    ({ cluster } = scene);
  });
  after(() => scene.down());

  for (const [family, host] of [
    ["ip", STANDARD.vip4],
    ["ip6", `[${STANDARD.vip6}]`],
  ] as const) {
    for (const who of KINDS) {
      test(`A16, A18: ${family}: ${who} serves a download and hears no other member: the others take it over when it is silent, and it stays silent`, async () => {
        await replicated(cluster);
        const master = await cluster.master();
        const witness = await capture(cluster, family);
        const begun = await scene.download(host, isOfKind(who, master));
        const { owner } = begun;
        const others = cluster.members.filter((member) => member !== owner);
        await cluster.lab.faults.estrange([[owner], others]);
        await until("another member has the connection", async () => {
          return (await served(cluster, PORT, others)) > 0;
        });
        await pause(APART_MS);
        const { inSplit: seen, all } = await scene.heal(begun, witness);
        const words = `spoke one after the other: ${seen.join(", ")}`;
        assert.equal(new Set(seen).size, seen.length, words);
        assert.ok(seen.length >= 2, `the session has moved; ${words}`);
        // it may go back with its work set, as planned
        assert.ok(all.length <= seen.length + 1, `spoke in the end: ${all.join(", ")}`);
        await until(
          "who was away has let go of it",
          async () => (await served(cluster, PORT)) === 0,
        );
      });
    }
  }
});

describe("A16: members of which some do not hear some others", { skip }, () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.up("deaf", 3);
  });
  after(() => scene.down());

  for (const who of KINDS) {
    for (const how of ["and another one do not hear each other", "is not heard by the others"]) {
      test(`A16, A18: ${who} serves a download, ${who === "the master" ? "it" : "that one"} ${how}: one speaks after the other, and none that was followed`, async () => {
        const { cluster } = scene;
        await replicated(cluster);
        const master = await cluster.master();
        const witness = await capture(cluster, "ip");
        const { lab } = cluster;
        const begun = await scene.download(STANDARD.vip4, isOfKind(who, master));
        const { owner } = begun;
        const others = cluster.members.filter((member) => member !== owner);
        if (how === "is not heard by the others") {
          await lab.faults.estrange([[owner], others], "from-the-first");
        } else {
          await lab.faults.estrange([[owner], others.slice(0, 1)]);
        }
        await pause(APART_MS);
        const { inSplit: seen } = await scene.heal(begun, witness);
        assert.equal(new Set(seen).size, seen.length, `spoke one after the other: ${seen.join()}`);
        await until("nobody serves it", async () => (await served(cluster, PORT)) === 0);
      });
    }
  }
});

describe("A16: a split of two, of which the lower one alone goes on", { skip }, () => {
  let scene: Scene;

  before(async () => {
    scene = await Scene.up("two", 2, "sessions: { splitOfTwo: lowest }\n");
  });
  after(() => scene.down());

  for (const who of ["m1", "m2"] as const) {
    test(`A16, A18: ${who} serves a download when both stop hearing each other: from then on m1 alone speaks for it`, async () => {
      const { cluster } = scene;
      await replicated(cluster);
      const witness = await capture(cluster, "ip");
      const begun = await scene.download(STANDARD.vip4, (member) => member === who);
      const { download } = begun;
      const had = download.bytes;
      await cluster.lab.faults.estrange([["m1"], ["m2"]]);
      await until("m1 has the connection", async () => (await served(cluster, PORT, ["m1"])) > 0);
      await pause(APART_MS);
      assert.ok(download.bytes > had + FIRST, "it has gone on in the split");
      const { inSplit: seen } = await scene.heal(begun, witness);
      assert.equal(seen.length, who === "m1" ? 1 : 2, `spoke one after the other: ${seen.join()}`);
    });
  }
});
