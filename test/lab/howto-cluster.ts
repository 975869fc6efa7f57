// A cluster that is up for a suite of how-to blocks (howto-machines.ts): three members and the client, and what else the page has.
import { after, before } from "node:test";
import { type ClusterOptions, LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { CALM, labName } from "./agent-bench.ts";
import { Machines } from "./howto-machines.ts";

interface HowtoCluster {
  readonly cluster: LabCluster;
  readonly machines: Machines;
}

/** Called in a suite, whose tests may ask for it. @param beside hosts and switches that are machines, too */
export function howtoCluster(
  name: string,
  options: Pick<ClusterOptions, "groups" | "remote" | "memberConfig"> = {},
  beside: readonly string[] = [],
): () => HowtoCluster {
  let cluster: LabCluster;
  let machines: Machines;
  before(async () => {
    cluster = await LabCluster.up({
      ...options,
      name: labName(name),
      members: 3,
      extraConfig: CALM,
      downOnExit: true,
    });
    await cluster.settled();
    machines = await Machines.of(cluster, STANDARD.client, ...beside);
  });
  after(async () => {
    machines?.remove();
    await cluster?.down();
  });
  return () => ({ cluster, machines });
}
