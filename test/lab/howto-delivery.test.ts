// The how-to about delivery methods, run as it stands (howto-machines.ts), on a cluster that is up, with its switch as a machine.
import { after, before, describe } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName, skip } from "./agent-bench.ts";
import { blocksOf, declareBlocks, Machines } from "./howto-machines.ts";

describe("how-to: delivery methods", { skip }, () => {
  let machines: Machines;
  let cluster: LabCluster;
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("howtodel"),
      members: 3,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    machines = await Machines.of(cluster, STANDARD.client, STANDARD.switch);
  });
  after(async () => {
    machines?.remove();
    await cluster?.down();
  });
  declareBlocks(blocksOf("docs/howto/delivery-methods.md"), () => machines);
});
