// The how-to about members that share one MAC, run as it stands (howto-machines.ts), on a cluster that is up. Between "Turn it on"
// and the rest agents are started anew, one after the other, as the page says.
import { describe, test } from "node:test";
import { endAgent, skip, startAgent } from "./agent-bench.ts";
import { howtoCluster } from "./howto-cluster.ts";
import { declareBlocks, splitBlocks } from "./howto-machines.ts";

describe("how-to: members that share one MAC", { skip }, () => {
  const [turnOn, rest] = splitBlocks("docs/howto/peers.md", "## Look at it");
  const up = howtoCluster("howtopeer");
  declareBlocks(turnOn, () => up().machines);
  test("C1: agents are started anew, one after the other", async () => {
    const { cluster } = up();
    for (const name of cluster.members) {
      await endAgent(cluster, name, "SIGTERM");
      await startAgent(cluster, name);
      await cluster.settled();
    }
  });
  declareBlocks(rest, () => up().machines);
});
