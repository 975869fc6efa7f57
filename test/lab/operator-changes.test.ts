// What operators change while traffic flows, by `pan` at any member: services, weights, drains, whole configurations (B7, B8). A
// refused change changes nothing; a node that was away fetches what it missed (A4).
import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import path from "node:path";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import {
  answerers,
  CALM,
  endAgent,
  labName,
  logOf,
  pan,
  panOk,
  skip,
  standing,
  startAgent,
  until,
  whoami,
} from "./agent-bench.ts";

const { vip4, vip6 } = STANDARD;
const slotsOf = (status: Status, group: string): Record<string, number> =>
  Object.fromEntries(
    status.groups.find(({ name }) => name === group)?.shares.map((s) => [s.node, s.slots]) ?? [],
  );

describe("what operators change", { skip }, () => {
  let cluster: LabCluster;
  let master: string;
  /** A member that is not the master: where the operator sits. */
  let seat: string;

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("ops"),
      members: 3,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    master = await cluster.master();
    seat = cluster.members.find((member) => member !== master) ?? "";
  });
  after(() => cluster?.down());

  /** Every member holds the same configuration and forwards by the same tables. */
  async function agreed(): Promise<Status> {
    await cluster.settled();
    for (const member of cluster.members) {
      // tables go on by themselves (former owners are forgotten), so both are asked at one time
      await until(`${member} agrees with ${master}`, async () => {
        const [wanted, status] = await Promise.all([master, member].map((m) => cluster.status(m)));
        assert.ok(wanted && status);
        return (
          JSON.stringify([status.cluster.config, status.datapath.version]) ===
          JSON.stringify([wanted.cluster.config, wanted.cluster.tables])
        );
      });
    }
    return cluster.status(master);
  }

  const config = async (member: string): Promise<string> =>
    JSON.stringify(await cluster.client(member).config({}));
  const oneSecond = { curl: ["--max-time", "1"] };

  test("B8: a service is added at a member, serves at once, is listed, and is gone when removed", async () => {
    const { lab } = cluster;
    assert.equal(await whoami(lab, "10.77.0.101", oneSecond), undefined);
    const extra = ["10.77.0.101:80", "--create", "weighted", "--slots", "256"];
    const said = await panOk(cluster, seat, "service", "add", "extra", "tcp", ...extra);
    assert.match(said, /^Configuration 2 \([0-9a-f]+\) is in force\.\n$/);
    await agreed();
    const names = await answerers(lab, "10.77.0.101", 120);
    assert.deepEqual([...names.keys()].sort(), ["m1", "m2", "m3"]);
    assert.match(
      await panOk(cluster, master, "service", "list"),
      /extra +weighted +256 +tcp 10\.77\.0\.101:80 +m1=1 m2=1 m3=1/,
    );
    await panOk(cluster, seat, "service", "add", "extra", "tcp", "[fd77::101]:80");
    await agreed();
    assert.match((await whoami(lab, "[fd77::101]")) ?? "", /^m[123]$/);
    for (const address of ["10.77.0.101:80", "[fd77::101]:80"]) {
      await panOk(cluster, seat, "service", "remove", "tcp", address);
    }
    const { groups } = await agreed();
    assert.deepEqual(
      groups.map(({ name }) => name),
      ["web"],
    );
    for (const member of cluster.members) {
      const { stdout } = await lab.exec(member, ["ip", "-o", "address", "show"]);
      assert.doesNotMatch(stdout, /10\.77\.0\.101|fd77::101/, member);
    }
    assert.equal(await whoami(lab, "10.77.0.101", oneSecond), undefined);
  });

  test("B3, B8: weights decide the shares, and a weight of 0 takes a node out", async () => {
    const { lab } = cluster;
    const nodes = ["m1=2", "m2=1", "m3=1"].flatMap((node) => ["--node", node]);
    const create = ["10.77.0.102:80", "--create", "weighted", "--slots", "512", ...nodes];
    await panOk(cluster, seat, "service", "add", "shares", "tcp", ...create);
    assert.deepEqual(slotsOf(await agreed(), "shares"), { m1: 256, m2: 128, m3: 128 });
    await panOk(cluster, seat, "service", "weight", "shares", "m1", "0");
    assert.deepEqual(slotsOf(await agreed(), "shares"), { m1: 0, m2: 256, m3: 256 });
    const names = await answerers(lab, "10.77.0.102", 100);
    assert.deepEqual([...names.keys()].sort(), ["m2", "m3"]);
    await panOk(cluster, master, "service", "weight", "shares", "m1", "6");
    assert.deepEqual(slotsOf(await agreed(), "shares"), { m1: 384, m2: 64, m3: 64 });
    await panOk(cluster, seat, "service", "remove", "tcp", "10.77.0.102:80");
    await agreed();
  });

  test("B7: a drained node gets no new connections until it is undrained; also the master", async () => {
    const { lab } = cluster;
    for (const node of [seat, master]) {
      await panOk(cluster, seat, "drain", node);
      const status = await agreed();
      assert.equal(status.members.find(({ name }) => name === node)?.drained, true);
      assert.equal(slotsOf(status, "web")[node], 0);
      const names = await answerers(lab, vip4, 100);
      assert.deepEqual(
        [...names.keys()].sort(),
        cluster.members.filter((each) => each !== node),
      );
      await panOk(cluster, seat, "undrain", node);
      assert.ok((slotsOf(await agreed(), "web")[node] ?? 0) > 300);
    }
    assert.equal((await answerers(lab, `[${vip6}]`, 100)).size, 3);
  });

  test("B8: pan config apply at a member: all of it is in force everywhere, comments and all", async () => {
    const file = path.join(cluster.folder, "next.yaml");
    const text = await panOk(cluster, seat, "config", "show");
    const group = `{ name: more, policy: sticky, services: ["tcp 10.77.0.103:80"] }`;
    const next = `# by the operator\n${text.replace("groups:\n", `groups:\n  - ${group}\n`)}vips: [10.77.0.104]\n`;
    writeFileSync(file, next);
    await panOk(cluster, seat, "config", "apply", file);
    const { groups } = await agreed();
    assert.deepEqual(
      groups.map(({ name }) => name),
      ["more", "web"],
    );
    for (const member of cluster.members) {
      assert.equal((await cluster.client(member).config({})).yaml, next);
      const { stdout } = await cluster.lab.exec(member, [
        "ip",
        "-o",
        "address",
        "show",
        "dev",
        "lo",
      ]);
      assert.match(stdout, /10\.77\.0\.103.*10\.77\.0\.104/s, member);
    }
    assert.match((await whoami(cluster.lab, "10.77.0.103")) ?? "", /^m\d$/);
  });

  test("B8: a refused change changes nothing anywhere, and says why", async () => {
    const before = await config(master);
    const stood = await agreed();
    const file = path.join(cluster.folder, "bad.yaml");
    const text = await panOk(cluster, seat, "config", "show");
    const refused = async (yaml: string, says: RegExp, at = seat): Promise<void> => {
      writeFileSync(file, yaml);
      const { status, stderr } = await pan(cluster, at, "config", "apply", file);
      assert.match(stderr, says);
      assert.equal(status, 1);
    };
    await refused(`${text}colour: red\n`, /colour[^]*\[PAN_CONFIG_INVALID\]/);
    await refused(`${text}colour: red\n`, /colour[^]*\[PAN_CONFIG_INVALID\]/, master);
    await refused(text.replace(/name: t\d+-ops/, "name: other"), /certificates.*\[PAN_CONFLICT\]/);
    const large = `${text}datapath: { slotCapacity: 1048576 }\n`.replace(
      "groups:\n",
      `groups:\n${[1, 2, 3, 4, 5].map((n) => `  - { name: g${n}, slots: 65536 }\n`).join("")}`,
    );
    await refused(large, /327680|3\d{5} slots, but .* room for 262144.*\[PAN_CONFLICT\]/);
    const wrong = async (says: RegExp, ...words: readonly string[]): Promise<void> => {
      const { status, stderr } = await pan(cluster, seat, ...words);
      assert.match(stderr, says);
      assert.equal(status, 1);
    };
    await wrong(/no node "m9".*\[PAN_NOT_FOUND\]/, "drain", "m9");
    await wrong(/PAN_NOT_FOUND/, "service", "weight", "wub", "m1", "3");
    await wrong(/PAN_CONFLICT/, "service", "add", "web", "tcp", "10.77.0.11:80");
    await wrong(/PAN_NOT_FOUND|PAN_CONFLICT/, "service", "add", "nogroup", "tcp", "10.77.0.105:80");
    await wrong(/PAN_NOT_FOUND/, "service", "remove", "udp", `${vip4}:80`);
    for (const member of cluster.members) assert.equal(await config(member), before);
    assert.deepEqual(standing(await agreed()), standing(stood));
  });

  test("A4: a node that was away while the configuration changed fetches it and joins", async () => {
    const away = cluster.members.find((member) => member !== master && member !== seat) ?? "";
    await endAgent(cluster, away, "SIGKILL");
    const others = [master, seat];
    await cluster.settled(others);
    await panOk(cluster, seat, "service", "add", "web", "tcp", `${vip4}:8080`);
    await startAgent(cluster, away);
    const { groups } = await agreed();
    assert.equal(groups.find((group) => group.name === "web")?.services.length, 3);
    assert.equal(await config(away), await config(master));
    const stored = path.join(cluster.lab.folder(away), "state/config.json");
    const { version } = JSON.parse(readFileSync(stored, "utf8")) as { version: unknown };
    assert.deepEqual(version, (JSON.parse(await config(master)) as { version: unknown }).version);
  });

  test("A4: a file that differs from what the cluster runs does not win, and the log says how to make it", async () => {
    const before = await config(master);
    const away = cluster.members.find((member) => member !== master) ?? "";
    await endAgent(cluster, away, "SIGTERM");
    await startAgent(cluster, away); // cluster.yaml is as it was at the very start
    await agreed();
    assert.equal(await config(away), before);
    assert.match(logOf(cluster, away), /pan config apply .*cluster\.yaml/);
  });

  test("pan status and pan metrics: what every part of the cluster does, for people and programs", async () => {
    await answerers(cluster.lab, vip4, 50);
    const screen = await panOk(cluster, master, "status");
    for (const member of cluster.members) assert.match(screen, new RegExp(`${member} `));
    assert.match(screen, /master/);
    assert.match(screen, /web/);
    const status = JSON.parse(await panOk(cluster, master, "status", "--json")) as Status;
    assert.equal(status.node.role, "master");
    assert.equal(status.datapath.leaseValid, true);
    assert.ok(status.membership.keepalivesSent > 0 && status.membership.keepalivesReceived > 0);
    assert.ok(status.members.some(({ name, packets }) => name !== master && packets > 0));
    const forwarded = status.datapath.counters.find(({ reason }) => reason === "forward-owner");
    assert.ok((forwarded?.count ?? 0) > 0);
    const member = JSON.parse(await panOk(cluster, seat, "status", "--json")) as Status;
    assert.equal(member.node.role, "member");
    assert.equal(member.datapath.leaseValid, false);
    const metrics = await panOk(cluster, master, "metrics");
    const values = metrics.split("\n").filter((line) => line !== "" && !line.startsWith("#"));
    assert.ok(values.length > 20);
    for (const line of values) assert.match(line, /^panoply_[a-z_]+(\{[^}]*\})? [-+\d.eE]+$/);
    await until("every member tells the same roster", async () => {
      const all = await Promise.all(cluster.members.map((each) => cluster.status(each)));
      return new Set(all.map(({ cluster: { master: named } }) => named)).size === 1;
    });
  });
});
