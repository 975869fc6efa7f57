// B11 in a real cluster: two private segments between the members, method forward. Packets of connections go over both; one fails, seen by
// its link or in silence, in the middle of transfers; no connection breaks.
import assert from "node:assert/strict";
import { setTimeout as pause } from "node:timers/promises";
import { after, before, describe, test } from "node:test";
import type { StoredEvent } from "#api/event-catalogue.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { bytesReceived, CALM, labName, skip, until } from "./agent-bench.ts";

const PATHS = [STANDARD.path(1), STANDARD.path(2)] as const;
const DOWNLOADS = 24;

describe("B11: private paths", { skip }, () => {
  let cluster: LabCluster;
  let master: string;
  /** The others, who serve what the master hands to them. */
  let servers: string[];

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("paths"),
      members: 3,
      paths: PATHS.length,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    master = await cluster.master();
    servers = cluster.members.filter((member) => member !== master);
    await until("every path works", () => working(PATHS, servers));
  });
  after(() => cluster?.down());

  async function changes(): Promise<StoredEvent[]> {
    const { events } = await cluster.client(master).events({ query: { types: "path-changed" } });
    return events as unknown as StoredEvent[];
  }

  /** As the master's last events have it: exactly these paths work to each of these members. */
  async function working(paths: readonly string[], members: readonly string[]): Promise<boolean> {
    const state = new Map<string, boolean>();
    for (const event of await changes()) {
      if (event.type !== "path-changed") continue;
      state.set(`${event.member} ${event.interface}`, event.state === "working");
    }
    return members.every((member) =>
      PATHS.every((name) => (state.get(`${member} ${name}`) ?? false) === paths.includes(name)),
    );
  }

  const received = (member: string, name: string): Promise<number> =>
    bytesReceived(cluster.lab, member, name);

  /** Slow downloads that are under way; resolves to how each ended. */
  function downloads(): Promise<string[]> {
    const url = `http://${STANDARD.vip4}/1m`;
    return Promise.all(
      Array.from({ length: DOWNLOADS }, async () => {
        const words = ["--silent", "--show-error", "--limit-rate", "100k", "--output", "/dev/null"];
        const form = "%{http_code} %{size_download}";
        const argv = ["curl", ...words, "--write-out", form, "--max-time", "60", url];
        const { status, stdout, stderr } = await cluster.lab.exec(STANDARD.client, argv);
        return `${status} ${stdout} ${stderr}`.trim();
      }),
    );
  }
  const WHOLE = `0 200 ${1024 * 1024}`;

  test("what the master hands on goes by private paths, spread over both, not by the cluster interface", async () => {
    const [server = ""] = servers;
    const before = await Promise.all(PATHS.map((name) => received(server, name)));
    // connections of their own, with more than hellos make in that time
    const header = ["--header", `X-Long: ${"x".repeat(1000)}`, "--header", "Connection: close"];
    const url = `http://${STANDARD.vip4}/whoami?[1-300]`;
    const { status } = await cluster.lab.exec(STANDARD.client, ["curl", "-sS", ...header, url]);
    assert.equal(status, 0);
    const grown = await Promise.all(
      PATHS.map(async (name, index) => (await received(server, name)) - (before[index] ?? 0)),
    );
    for (const bytes of grown) assert.ok(bytes > 40_000, String(grown));
  });

  for (const [how, fail, heal] of [
    ["its link goes down", "down", "up"],
    ["it falls silent", "nomaster", "master"],
  ] as const) {
    test(`a path fails because ${how}, during transfers: no connection breaks, all go by the other`, async () => {
      const [server = ""] = servers;
      const [first, second] = PATHS;
      const set = async (what: string): Promise<void> => {
        if (what === "down" || what === "up") return cluster.lab.faults.link(server, what, first);
        await cluster.lab.faults.unplug(server, first, what === "nomaster");
      };
      const under = downloads();
      await pause(1500); // they are under way
      await set(fail);
      await until("the master has left the path", () => working([second], [server]));
      const ends = await under;
      assert.deepEqual(
        ends,
        ends.map(() => WHOLE),
      );
      const status = await cluster.status(master);
      assert.equal(status.failovers.length, 0, "nobody was taken for dead");
      await set(heal);
      await until("the path works again", () => working(PATHS, servers));
    });
  }

  test("without any private path the cluster interface is used", async () => {
    const [server = ""] = servers;
    for (const name of PATHS) await cluster.lab.faults.link(server, "down", name);
    await until("no path works", () => working([], [server]));
    const ends = await downloads();
    assert.deepEqual(
      ends,
      ends.map(() => WHOLE),
    );
    for (const name of PATHS) await cluster.lab.faults.link(server, "up", name);
    await until("both work again", () => working(PATHS, servers));
  });
});
