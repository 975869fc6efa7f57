// The how-to about health checks, run as it stands (howto-machines.ts), on a cluster that is up. nginx is a unit of its own on each member,
// so that it can be stopped and started as on a real machine.
import assert from "node:assert/strict";
import { after, before, describe } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, endAgent, labName, skip, startAgent } from "./agent-bench.ts";
import { stopWeb } from "./health-bench.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

/** The lab's folder is /run/panoply on the machine. */
const asUnit = (folder: string): string => `
sed 's|${folder}|/run/panoply|g' /run/panoply/nginx.conf > /etc/nginx-unit.conf
echo 'ExecStart=nginx -p /run/panoply -c /etc/nginx-unit.conf -e /run/panoply/nginx-error.log' > /etc/systemd/system/nginx.service
systemctl start nginx`;

describe("how-to: health checks", { skip }, () => {
  let machines: Machines;
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("howtohea"),
      members: 3,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    // on the page m3 is a member; of agents that start together any may become master
    if ((await cluster.master()) === "m3") {
      await endAgent(cluster, "m3", "SIGTERM");
      await startAgent(cluster, "m3");
      await cluster.settled();
    }
    machines = await Machines.of(cluster, STANDARD.client);
    for (const name of cluster.members) {
      await stopWeb(cluster, name);
      const { status, output } = machines.run(name, asUnit(cluster.lab.folder(name)));
      assert.equal(status, 0, output);
    }
  });
  after(async () => {
    machines?.remove();
    await cluster?.down();
  });
  declareBlocks(blocksOf("docs/howto/health-checks.md"), () => machines);
});
