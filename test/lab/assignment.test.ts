// Slots that get an owner when a packet wants one, and slots that move by measured load, in a cluster with real traffic (A8, A9, A15).
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { ECHO_PORT, EchoConnections, echoServer } from "../../bench/failover-connections.ts";
import { answerers, CALM, labName, skip, until } from "./agent-bench.ts";

const { vip4, vip6 } = STANDARD;
const SLOTS = 16;
/** Slots of this group tell who may get slots: it is assigned at once. */
const GROUPS = `groups:
  - name: eager
    services: ["udp ${vip4}:53"]
  - name: web
    assignment: lazy
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"]
  - name: echo
    slots: ${SLOTS}
    balance: packets
    services: ["tcp ${vip4}:${ECHO_PORT}"]
`;

const groupOf = ({ groups }: Status, name: string): Status["groups"][number] => {
  const group = groups.find((each) => each.name === name);
  assert.ok(group, name);
  return group;
};
const sharesOf = (status: Status, name: string): Record<string, number> =>
  Object.fromEntries(groupOf(status, name).shares.map(({ node, slots }) => [node, slots]));
const heldBy = ({ assignment }: Status): Record<string, number> =>
  Object.fromEntries(assignment.held.map(({ reason, count }) => [reason, count]));

/** These members may get slots, and nobody else. */
async function ready(
  cluster: LabCluster,
  names: readonly string[] = cluster.members,
): Promise<Status> {
  return cluster.until(
    `${names.join()} are ready`,
    (status) => {
      const serving = Object.entries(sharesOf(status, "eager")).filter(([, slots]) => slots > 0);
      return serving.map(([name]) => name).join() === names.join();
    },
    names[0],
  );
}

describe("assignment", { skip }, () => {
  let cluster: LabCluster;
  let master: string;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("assign"),
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      programs: (member) => [echoServer(member)],
      downOnExit: true,
    });
    await ready(cluster);
    master = await cluster.master();
  });
  after(() => cluster?.down());

  /** TCP segments that the client had to send again, so far. */
  async function repeated(): Promise<number> {
    const { stdout } = await cluster.lab.exec(STANDARD.client, ["cat", "/proc/net/snmp"]);
    const [names = [], values = []] = stdout
      .split("\n")
      .filter((line) => line.startsWith("Tcp:"))
      .map((line) => line.split(" "));
    return Number(values[names.indexOf("RetransSegs")]);
  }

  test("A15: the first packet of a slot without an owner is held, and served; none is lost", async () => {
    const start = await cluster.status(master);
    assert.equal(groupOf(start, "web").unassigned, 1024);
    const before = await repeated();
    const names = await answerers(cluster.lab, vip4, 200);
    assert.equal(
      [...names.values()].reduce((sum, count) => sum + count, 0),
      200,
    );
    assert.deepEqual([...names.keys()].sort(), [...cluster.members]);
    assert.equal(await repeated(), before, "no segment had to be sent again");
    const status = await cluster.status(master);
    const { held = 0, ...others } = heldBy(status);
    const assigned = 1024 - groupOf(status, "web").unassigned;
    assert.ok(held >= assigned && assigned > 100, `${held} held, ${assigned} assigned`);
    assert.deepEqual(others, {
      released: held,
      refused: 0,
      expired: 0,
      unsent: 0,
      // of groups that nobody serves (B7)
      ...{ reset: 0, unreachable: 0, unanswered: 0, limited: 0 },
      // too long for a tunnel (B11)
      ...{ tooBigTold: 0, tooBigUntold: 0, tooBigLimited: 0 },
    });
    assert.equal(status.assignment.heldNow, 0);
  });

  test("A9: a dead member's slots wait for a packet, and get another owner", async () => {
    const dead = cluster.members.find((name) => name !== master) ?? "";
    const survivors = cluster.members.filter((name) => name !== dead);
    const had = sharesOf(await cluster.status(master), "web")[dead] ?? 0;
    const before = groupOf(await cluster.status(master), "web").unassigned;
    await cluster.lab.faults.kill(dead);
    const status = await ready(cluster, survivors);
    assert.equal(groupOf(status, "web").unassigned, before + had);
    const names = await answerers(cluster.lab, vip4, 200);
    assert.deepEqual([...names.keys()].sort(), survivors);
    assert.ok(groupOf(await cluster.status(master), "web").unassigned < before + had);
    await cluster.lab.faults.revive(dead);
    await ready(cluster);
  });

  test("A8: a member that returns is filled from the loaded ones, under connections that go on", async () => {
    const returning = cluster.members.find((name) => name !== master) ?? "";
    const survivors = cluster.members.filter((name) => name !== returning);
    const owned = async (): Promise<number> =>
      sharesOf(await cluster.status(master), "echo")[returning] ?? 0;
    await cluster.lab.faults.kill(returning);
    await ready(cluster, survivors);
    assert.equal(await owned(), 0);
    const connections = await EchoConnections.open(cluster.lab, 60, vip4);
    await cluster.lab.faults.revive(returning);
    await ready(cluster);
    await until("it owns a quarter of the slots", async () => (await owned()) >= SLOTS / 4);
    connections.openMore();
    await until("it owns more", async () => (await owned()) > SLOTS / 4);
    const { broken, servers } = await connections.finish();
    assert.deepEqual(broken, []);
    assert.deepEqual(Object.keys(servers).sort(), [...cluster.members]);
  });
});
