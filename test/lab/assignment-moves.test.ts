// Slots that move again and again, under connections that live on (A8, B4): each of five members owns everything once, twice over. A
// chain has room for three former owners, so this works only because those without connections are forgotten.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { ECHO_PORT, EchoConnections, echoServer } from "../../bench/failover-connections.ts";
import { CALM, labName, skip } from "./agent-bench.ts";

const MEMBERS = 5;
const CONNECTIONS = 40;
const SLOTS = 64;
const members = Array.from({ length: MEMBERS }, (_, index) => `m${index + 1}`);
const GROUPS = `groups:
  - name: echo
    slots: ${SLOTS}
    nodes: [${members.map((name, index) => `{ name: ${name}, weight: ${index === 0 ? 1 : 0} }`).join(", ")}]
    services: ["tcp ${STANDARD.vip4}:${ECHO_PORT}"]
`;

describe("slots that move", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("moves"),
      members: MEMBERS,
      groups: GROUPS,
      extraConfig: CALM,
      programs: (member) => [echoServer(member)],
      downOnExit: true,
    });
    await cluster.settled();
  });
  after(() => cluster?.down());

  const owns = (node: string, { groups }: Status): boolean =>
    groups[0]?.shares.every(({ node: name, slots }) => slots === (name === node ? SLOTS : 0)) ??
    false;

  /** All slots go from one member to another, as soon as their chains have room. */
  async function handOver(from: string, to: string): Promise<void> {
    const client = cluster.client(await cluster.master());
    const group = "echo";
    await client.setWeight({ params: { group, node: to }, body: { weight: 1 } });
    await client.setWeight({ params: { group, node: from }, body: { weight: 0 } });
    await cluster.until(`${to} owns every slot`, (status) => owns(to, status));
  }

  test("B4: connections live through any number of moves of their slots", async () => {
    const connections = await EchoConnections.open(cluster.lab, CONNECTIONS, STANDARD.vip4);
    const route = [...members, ...members, members[0] ?? ""];
    for (const [index, to] of route.entries()) {
      const from = route[index - 1];
      if (from !== undefined && from !== to) await handOver(from, to);
    }
    const { broken, opened, servers } = await connections.finish();
    assert.deepEqual(broken, []);
    assert.deepEqual({ opened, servers }, { opened: CONNECTIONS, servers: { m1: CONNECTIONS } });
  });
});
