// The two MACs that take the place of a node's own where members share one (docs/adr/0013).
import { clusterMac } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import { peerMac } from "#base/peering.ts";
import type { ClusterConfig } from "#config/schema.ts";
import type { PeeringMacs } from "./host-facts.ts";

/** Undefined without peering. */
export function peeringMacs({ peering }: ClusterConfig, self: NodeId): PeeringMacs | undefined {
  if (peering === undefined) return undefined;
  const { primary } = peering;
  return { mac: peerMac(self, primary), linkMac: clusterMac("unicast", primary) };
}
