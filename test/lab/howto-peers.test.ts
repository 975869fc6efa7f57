// The how-to about members that share one MAC, run as it stands (howto-machines.ts), on a cluster that is up. Between "Turn it on"
// and the rest agents are started anew, one after the other, as the page says.
import { after, before, describe, test } from "node:test";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, endAgent, labName, skip, startAgent } from "./agent-bench.ts";
import { declareBlocks, Machines, splitBlocks } from "./howto-machines.ts";

describe("how-to: members that share one MAC", { skip }, () => {
  let machines: Machines;
  let cluster: LabCluster;
  const [turnOn, rest] = splitBlocks("docs/howto/peers.md", "## Look at it");
  before(async () => {
    cluster = await LabCluster.up({
      name: labName("howtopeer"),
      members: 3,
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
  declareBlocks(turnOn, () => machines);
  test("C1: agents are started anew, one after the other", async () => {
    for (const name of cluster.members) {
      await endAgent(cluster, name, "SIGTERM");
      await startAgent(cluster, name);
      await cluster.settled();
    }
  });
  declareBlocks(rest, () => machines);
});
