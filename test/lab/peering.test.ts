// Part C in a lab: members that share one MAC, an outsider, and a switch that learns and listens to IGMP.
import { after, before, describe, test } from "node:test";
import type { LabCluster } from "#lab/cluster.ts";
import { skip } from "./agent-bench.ts";
import { meshWorks, outsiderSees, peeringCluster, snoop } from "./peering-bench.ts";

const BYTES = 4 << 20;

describe("members that share one MAC", { skip }, () => {
  let cluster: LabCluster;
  before(async () => {
    cluster = await peeringCluster({ part: "peering", kind: "masked" });
    snoop(cluster, false);
  });
  after(() => cluster?.down());

  test("C9: all pairs ping and transfer", async () => {
    await meshWorks(cluster, "masked", BYTES);
  });
  test("C8: an outsider has the cluster MAC for everybody", async () => {
    await outsiderSees(cluster);
  });
});
