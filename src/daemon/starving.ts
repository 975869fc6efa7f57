// A change of the configuration that would cut members off from each other: MACs of groups on a network with an IGMP querier (C9). A switch
// that listens to IGMP then drops their IPv4 frames, the members lose their master, and no change can be made any more, not even back.
import { PanError } from "#base/error-codes.ts";
import { areGroupMacs } from "#base/peering.ts";
import type { ClusterConfig } from "#config/schema.ts";
import { named, starved, type Queriers } from "#core/peering/queriers.ts";

function usesGroups({ peering, nodes }: ClusterConfig): boolean {
  if (peering === undefined) return false;
  const { mac: kind, ...chosen } = peering;
  const listed = nodes.flatMap(({ mac }) => mac ?? []);
  return areGroupMacs({ kind, ...chosen }, listed);
}

/**
 * An operator who has set up the switch says so with `force`.
 * @param queriers that the master hears
 * @throws PanError PAN_CONFLICT; nothing has changed
 */
export function refuseStarving(
  present: ClusterConfig,
  next: ClusterConfig,
  queriers: Queriers,
): void {
  const family = starved(queriers);
  if (family === "" || usesGroups(present) || !usesGroups(next)) return;
  throw new PanError(
    "PAN_CONFLICT",
    `${named(queriers)} asks for groups on this network: a switch that listens drops members' ${family} frames to MACs of groups, and a cluster of such addresses falls apart. ` +
      "Make the members' ports router ports, or turn IGMP and MLD snooping off on the switch; then apply with --force",
  );
}
