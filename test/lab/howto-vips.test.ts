// The how-to about several interface nodes, run as it stands (howto-machines.ts), on a cluster that is up.
import { after, before, describe } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

const GROUPS = `groups:
  - name: web
    services: ["tcp ${STANDARD.vip4}:80", "tcp 10.77.0.101:80", "tcp [${STANDARD.vip6}]:80"]
`;

describe("how-to: several interface nodes", { skip }, () => {
  let machines: Machines;
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("howtovips"),
      members: 3,
      groups: GROUPS,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    machines = await Machines.of(cluster, STANDARD.client);
  });
  after(async () => {
    machines?.remove();
    await cluster?.down();
  });
  declareBlocks(blocksOf("docs/howto/interface-nodes.md"), () => machines);
});
