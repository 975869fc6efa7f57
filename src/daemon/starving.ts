// A change of the configuration that would cut members off from each other: MACs of groups on a network with an IGMP querier (C9). A switch
// that listens to IGMP then drops their IPv4 frames, the members lose their master, and no change can be made any more, not even back.
import type { PeersStatus } from "#api/peers.ts";
import { PanError } from "#base/error-codes.ts";
import { areGroupMacs } from "#base/peering.ts";
import type { ClusterConfig } from "#config/schema.ts";

function usesGroups({ peering, nodes }: ClusterConfig): boolean {
  if (peering === undefined) return false;
  const { mac: kind, ...chosen } = peering;
  const listed = nodes.flatMap(({ mac }) => mac ?? []);
  return areGroupMacs({ kind, ...chosen }, listed);
}

/**
 * An operator who has set up the switch says so with `force`.
 * @param known what the master knows of its peers
 * @throws PanError PAN_CONFLICT; nothing has changed
 */
export function refuseStarving(
  present: ClusterConfig,
  next: ClusterConfig,
  known: PeersStatus,
): void {
  const querier = known.peering?.querier;
  if (querier === undefined || usesGroups(present) || !usesGroups(next)) return;
  throw new PanError(
    "PAN_CONFLICT",
    `${querier} asks for groups (IGMP) on this network: a switch that listens drops members' IPv4 frames to MACs of groups, and the cluster falls apart. ` +
      "Make the members' ports router ports, or turn IGMP snooping off on the switch; then apply with --force",
  );
}
