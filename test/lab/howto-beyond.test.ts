// The how-to about members in another network, run as it stands (howto-machines.ts), on a cluster that is up.
import { after, before, describe } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

describe("how-to: members in another network", { skip }, () => {
  let machines: Machines;
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("howtofar"),
      members: 3,
      remote: 1,
      memberConfig: ({ remote }) => (remote === true ? "delivery: ipip" : "delivery: direct"),
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
  declareBlocks(blocksOf("docs/howto/beyond-the-segment.md"), () => machines);
});
