// Whole clusters through deaths, returns, restarts and partitions (A5, A9, A12, A18, B3, B4, B7). What happens is
// tested here, not how fast: that is what `npm run bench -- failover` is for. Needs root.
import assert from "node:assert/strict";
import { after, afterEach, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import {
  connectionsDuring,
  ECHO_GROUPS,
  EchoConnections,
  echoServer,
  type Findings,
} from "../../bench/failover-connections.ts";
import { MemberAgent } from "../../bench/failover-member-agent.ts";

const skip = process.getuid?.() === 0 ? false : "namespaces need root";
const CONNECTIONS = 60;
const REQUESTS = 60;
const VIPS = [STANDARD.vip4, `[${STANDARD.vip6}]`];

/** Names of the servers that answer so many requests to both VIPs; a request without an answer fails the test. */
async function serversOf(cluster: LabCluster): Promise<string[]> {
  const names = new Set<string>();
  for (const vip of VIPS) {
    // every request over a connection of its own
    const url = `http://${vip.replace("[", "\\[").replace("]", "\\]")}/whoami?[1-${REQUESTS}]`;
    const argv = ["curl", "--silent", "--max-time", "5", "--header", "Connection: close", url];
    const { status, stdout } = await cluster.lab.exec(STANDARD.client, argv);
    assert.equal(status, 0, `curl ${status} at ${vip}`);
    const answers = stdout.trim().split("\n");
    assert.equal(answers.length, REQUESTS);
    for (const name of answers) names.add(name);
  }
  return [...names].sort();
}

const others = (cluster: LabCluster, ...names: readonly string[]): string[] =>
  cluster.members.filter((name) => !names.includes(name));

/** Slots by node, in every group. */
const slots = ({ groups }: Status): Record<string, number>[] =>
  groups.map(({ shares }) => Object.fromEntries(shares.map(({ node, slots }) => [node, slots])));

const slotsOf = (status: Status, node: string): number =>
  slots(status).reduce((sum, group) => sum + (group[node] ?? 0), 0);

/** Slots of every group are where they were when all served. */
const atHome = ({ groups }: Status): boolean =>
  groups.every(({ shares }) => shares.every(({ slots, home }) => slots === home));

/** Nobody is hurt but who was on the dead machine. */
function assertOnlyTheDeadBroke(findings: Findings, dead: string): void {
  const living = findings.broken.filter(({ server }) => server !== dead && server !== "none");
  assert.deepEqual(living, []);
  const onTheDead = findings.broken.filter(({ server }) => server === dead).length;
  assert.ok(onTheDead > 0, `${dead} served somebody, who noticed its death`);
}

function assertNothingBroke({ broken, opened, servers }: Findings): void {
  assert.deepEqual(broken, []);
  assert.ok(opened >= CONNECTIONS, `${opened} connections were opened`);
  assert.ok(Object.keys(servers).length > 1, `served by ${JSON.stringify(servers)}`);
}

describe("failover", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: `t${process.pid}-failover`,
      members: 3,
      groups: ECHO_GROUPS,
      programs: (member) => [echoServer(member)],
      downOnExit: true,
    });
    await cluster.settled();
  });
  after(() => cluster.down());

  /** Every test begins and ends with all members in service. */
  afterEach(async () => {
    await cluster.settled();
    await cluster.until("all slots are at home", atHome);
  });

  test("A1: every member serves both VIPs", async () => {
    assert.deepEqual(await serversOf(cluster), [...cluster.members]);
  });

  for (const victim of ["member", "master"] as const) {
    test(`A18: a ${victim} dies: others serve on, with their connections, and it gets its slots back`, async () => {
      const master = await cluster.master();
      const dead = victim === "master" ? master : (others(cluster, master).at(-1) ?? "");
      const survivors = others(cluster, dead);
      const vip = victim === "master" ? STANDARD.vip6 : STANDARD.vip4;
      const connections = await EchoConnections.open(cluster.lab, CONNECTIONS, vip);
      await cluster.lab.faults.kill(dead);
      const status = await cluster.settled(survivors);
      assert.equal(status.cluster.master === master, victim === "member");
      assert.deepEqual(await serversOf(cluster), survivors);
      assertOnlyTheDeadBroke(await connections.finish(), dead);
      for (const name of survivors) {
        const { cluster: seen } = await cluster.settled([name, ...others(cluster, dead, name)]);
        assert.equal(seen.master, status.cluster.master, `${name} has the same master`);
      }
      await cluster.lab.faults.revive(dead);
      await cluster.settled();
      await cluster.until("all slots are at home", atHome);
      assert.deepEqual(await serversOf(cluster), [...cluster.members]);
    });
  }

  test("B3: slots by node are the same after a death and a return as before", async () => {
    const before = slots(await cluster.settled());
    const dead = others(cluster, await cluster.master())[0] ?? "";
    await cluster.lab.faults.kill(dead);
    await cluster.settled(others(cluster, dead));
    await cluster.lab.faults.revive(dead);
    await cluster.settled();
    assert.deepEqual(slots(await cluster.until("all slots are at home", atHome)), before);
  });

  test("B7: drain and undrain break no connection; a drained node gets no new ones", async () => {
    const findings = await connectionsDuring(cluster.lab, CONNECTIONS, async () => {
      await cluster.client("m1").drain({ params: { node: "m2" } });
      await cluster.until("m2 has no slots", (status) => slotsOf(status, "m2") === 0);
      assert.deepEqual(await serversOf(cluster), others(cluster, "m2"));
      await cluster.client("m1").undrain({ params: { node: "m2" } });
      await cluster.settled();
    });
    assertNothingBroke(findings);
  });

  test("B4: a weight is changed and set back: no connection breaks", async () => {
    const params = { group: "echo", node: "m3" };
    const findings = await connectionsDuring(cluster.lab, CONNECTIONS, async () => {
      await cluster.client("m1").setWeight({ params, body: { weight: 6 } });
      await cluster.until("m3 has 3/4 of the slots", (s) => slots(s)[1]?.["m3"] === 768);
      await cluster.client("m1").setWeight({ params, body: { weight: 1 } });
      await cluster.until("m3 has a third of the slots", (s) => (slots(s)[1]?.["m3"] ?? 0) < 400);
    });
    assertNothingBroke(findings);
  });

  for (const [victim, signal] of [
    ["member", "SIGTERM"],
    ["member", "SIGKILL"],
    ["master", "SIGKILL"],
  ] as const) {
    test(`A18: the agent of a ${victim} ends by ${signal}: its machine keeps its connections, the next agent takes over`, async () => {
      const master = await cluster.master();
      const name = victim === "master" ? master : (others(cluster, master)[0] ?? "");
      const agent = new MemberAgent(cluster, name);
      const findings = await connectionsDuring(cluster.lab, CONNECTIONS, async () => {
        await agent.stop(signal);
        await cluster.settled(others(cluster, name));
        assert.deepEqual(await serversOf(cluster), others(cluster, name));
        await agent.start();
        await cluster.settled();
      });
      assertNothingBroke(findings);
      assert.ok((findings.servers[name] ?? 0) > 0, `${name} had connections`);
      assert.deepEqual(await serversOf(cluster), [...cluster.members]);
    });
  }

  test("A5: a partition has two masters; when it heals one is left, and all serve", async () => {
    const master = await cluster.master();
    const [first = "", second = ""] = others(cluster, master);
    await cluster.lab.faults.partition([[STANDARD.client, first, second], [master]]);
    const majority = await cluster.settled([first, second]);
    assert.notEqual(majority.cluster.master, master);
    const alone = await cluster.settled([master]);
    assert.equal(alone.node.role, "master");
    assert.deepEqual(await serversOf(cluster), [first, second].sort());
    await cluster.lab.faults.heal();
    const healed = await cluster.settled();
    assert.equal(healed.cluster.master, majority.cluster.master, "more members win");
    for (const name of cluster.members) {
      const seen = await cluster.settled([name, ...others(cluster, name)]);
      assert.equal(seen.cluster.master, healed.cluster.master, `${name} follows the winner`);
    }
    assert.deepEqual(await serversOf(cluster), [...cluster.members]);
  });
});
