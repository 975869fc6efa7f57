// The how-to about members in another network, run as it stands (howto-machines.ts), on a cluster that is up.
import { describe } from "node:test";
import { skip } from "./agent-bench.ts";
import { howtoCluster } from "./howto-cluster.ts";
import { blocksOf, declareBlocks } from "./howto-machines.ts";

describe("how-to: members in another network", { skip }, () => {
  const up = howtoCluster("howtofar", {
    remote: 1,
    memberConfig: ({ remote }) => (remote === true ? "delivery: ipip" : "delivery: direct"),
  });
  declareBlocks(blocksOf("docs/howto/beyond-the-segment.md"), () => up().machines);
});
