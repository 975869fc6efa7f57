// Slots that change hands where every member filters (A13, A15, A8): nobody's connection breaks, and new ones are served by one member.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import {
  connectionsDuring,
  ECHO_PORT,
  echoServer,
  type Findings,
} from "../../bench/failover-connections.ts";
import { answerers, CALM, labName, skip } from "./agent-bench.ts";

const CONNECTIONS = 60;
const { vip4, vip6 } = STANDARD;
const GROUPS = `groups:
  - name: web
    assignment: lazy
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"]
  - name: echo
    services: ["tcp ${vip4}:${ECHO_PORT}", "tcp [${vip6}]:${ECHO_PORT}"]
`;

const slotsOf = ({ groups }: Status, node: string): number =>
  groups.find(({ name }) => name === "echo")?.shares.find((share) => share.node === node)?.slots ??
  0;

function assertNothingBroke({ broken, opened, servers }: Findings): void {
  assert.deepEqual(broken, []);
  assert.ok(opened >= CONNECTIONS, `${opened} connections were opened`);
  assert.ok(Object.keys(servers).length > 1, `served by ${JSON.stringify(servers)}`);
}

describe("slots that change hands where every member filters", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("hands"),
      members: 3,
      groups: GROUPS,
      extraConfig: `${CALM}delivery: { method: multicast }\n`,
      programs: (member) => [echoServer(member)],
      downOnExit: true,
    });
    await cluster.until("every member has slots", (status) =>
      cluster.members.every((name) => slotsOf(status, name) > 0),
    );
  });
  after(() => cluster?.down());

  test("A15: a weight is changed and set back: no connection breaks", async () => {
    const params = { group: "echo", node: "m3" };
    const findings = await connectionsDuring(cluster.lab, CONNECTIONS, async () => {
      await cluster.client("m1").setWeight({ params, body: { weight: 6 } });
      await cluster.until("m3 has 3/4 of the slots", (status) => slotsOf(status, "m3") === 768);
      await cluster.client("m1").setWeight({ params, body: { weight: 1 } });
      await cluster.until("m3 has a third of the slots", (status) => slotsOf(status, "m3") < 400);
    });
    assertNothingBroke(findings);
  });

  test("A15: a member drains and comes back: no connection breaks", async () => {
    const findings = await connectionsDuring(
      cluster.lab,
      CONNECTIONS,
      async () => {
        await cluster.client("m1").drain({ params: { node: "m2" } });
        await cluster.until("m2 has no slots", (status) => slotsOf(status, "m2") === 0);
        await cluster.client("m1").undrain({ params: { node: "m2" } });
        await cluster.until("m2 has slots", (status) => slotsOf(status, "m2") > 300);
      },
      vip6,
    );
    assertNothingBroke(findings);
  });

  test("A15: lazy: the first packets are held by the lease holder and served by one member", async () => {
    const names = await answerers(cluster.lab, vip4, 100);
    assert.equal(
      [...names.values()].reduce((sum, count) => sum + count, 0),
      100,
    );
    const { assignment } = await cluster.status(await cluster.master());
    const held = Object.fromEntries(assignment.held.map(({ reason, count }) => [reason, count]));
    assert.ok((held["released"] ?? 0) > 20, JSON.stringify(held));
    assert.equal(held["expired"], 0);
  });
});
