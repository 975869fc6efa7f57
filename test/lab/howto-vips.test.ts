// The how-to about several interface nodes, run as it stands (howto-machines.ts), on a cluster that is up.
import { describe } from "node:test";
import { STANDARD } from "#lab/standard.ts";
import { skip } from "./agent-bench.ts";
import { howtoCluster } from "./howto-cluster.ts";
import { blocksOf, declareBlocks } from "./howto-machines.ts";

const GROUPS = `groups:
  - name: web
    services: ["tcp ${STANDARD.vip4}:80", "tcp 10.77.0.101:80", "tcp [${STANDARD.vip6}]:80"]
`;

describe("how-to: several interface nodes", { skip }, () => {
  const up = howtoCluster("howtovips", { groups: GROUPS });
  declareBlocks(blocksOf("docs/howto/interface-nodes.md"), () => up().machines);
});
