// Health checks of services in a real cluster (B7): nginx on three members stops, starts, answers wrongly, hangs; where new connections
// go, what happens to established ones, and what the operator sees.
import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, panOk, skip } from "./agent-bench.ts";
import { askWeb, shareOf, startWeb, stateOfInstance, stopWeb } from "./health-bench.ts";

const { vip4, vip6 } = STANDARD;
const TIMING = "intervalMs: 200, timeoutMs: 200, rise: 2, fall: 2";
const GROUPS = `groups:
  - name: web
    services: ["tcp ${vip4}:80", "tcp [${vip6}]:80"]
    health: { ${TIMING}, checks: [{ type: tcp }] }
`;

describe("health checks", { skip }, () => {
  let cluster: LabCluster;

  before(async () => {
    cluster = await LabCluster.up({
      name: labName("health"),
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
  });
  after(() => cluster?.down());

  /** At the master, which knows all of them. */
  const untilState = async (node: string, state: string): Promise<void> => {
    const master = await cluster.master();
    await cluster.until(
      `${node} is ${state}`,
      (status) => stateOfInstance(status, "web", node) === state,
      master,
    );
  };

  test("B7: a member whose server has stopped gets no new connections once that is found, and none is refused; it comes back", async () => {
    const before = await askWeb(cluster, 60);
    assert.deepEqual([...before.by.keys()].sort(), ["m1", "m2", "m3"]);
    await stopWeb(cluster, "m2");
    await untilState("m2", "down");
    await cluster.until("m2 owns nothing", (s) => shareOf(s, "web", "m2")?.slots === 0, "m1");
    const without = await askWeb(cluster, 200);
    assert.deepEqual(without.failures, []);
    assert.deepEqual([...without.by.keys()].sort(), ["m1", "m3"]);
    await startWeb(cluster, "m2");
    await untilState("m2", "up");
    await cluster.settled();
    const again = await askWeb(cluster, 100);
    assert.deepEqual(again.failures, []);
    assert.deepEqual([...again.by.keys()].sort(), ["m1", "m2", "m3"]);
  });

  test("B7: `pan status` tells on every member whose instance works, and why one does not", async () => {
    await stopWeb(cluster, "m3");
    await untilState("m3", "down");
    for (const member of cluster.members) {
      const page = await panOk(cluster, member, "status");
      assert.match(page, /m1 \d+( \(home \d+\))?, weight 1, up/, member);
      assert.match(page, /m3 0 \(home \d+\), weight 1, down \(tcp: connection refused\)/, member);
    }
    assert.match(
      await panOk(cluster, "m3", "status"),
      /web +tcp +fails +\d+ +\d+ +connection refused/,
    );
    assert.match(
      await panOk(cluster, await cluster.master(), "metrics"),
      /panoply_instance_up\{group="web",node="m3"\} 0/,
    );
    await startWeb(cluster, "m3");
    await cluster.settled();
  });
});
