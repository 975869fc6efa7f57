// The how-to about delivery methods, run as it stands (howto-machines.ts), on a cluster that is up, with its switch as a machine.
import { describe } from "node:test";
import { STANDARD } from "#lab/standard.ts";
import { skip } from "./agent-bench.ts";
import { howtoCluster } from "./howto-cluster.ts";
import { blocksOf, declareBlocks } from "./howto-machines.ts";

describe("how-to: delivery methods", { skip }, () => {
  const up = howtoCluster("howtodel", {}, [STANDARD.switch]);
  declareBlocks(blocksOf("docs/howto/delivery-methods.md"), () => up().machines);
});
