// On which other ports this node serves (B7, docs/adr/0032).
import type { ClusterConfig } from "#config/schema.ts";

/** By name of the group. The node never serves such a group but as its sorry node, so all that it serves of it goes there. */
export const sorryPorts = ({ groups }: ClusterConfig, node: string): Map<string, number> =>
  new Map(
    groups.flatMap(({ name, sorry, sorryPort }) =>
      sorry === node && sorryPort !== undefined ? [[name, sorryPort] as const] : [],
    ),
  );
