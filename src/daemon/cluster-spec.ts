// The configuration, as an operator writes it, in the terms of the core.
import type { ClusterConfig } from "#config/schema.ts";
import { virtualAddresses } from "#config/config.ts";
import type { ClusterSpec } from "#core/node/cluster-spec.ts";

export function clusterSpec(config: ClusterConfig): ClusterSpec {
  const idOf = new Map(config.nodes.map(({ name, id }) => [name, id]));
  const everyNode = config.nodes.map(({ id }) => ({ id, weight: 1 }));
  return {
    vips: virtualAddresses(config),
    drained: config.nodes.filter(({ drained }) => drained).map(({ id }) => id),
    groups: config.groups.map(({ nodes, ...group }) => ({
      ...group,
      nodes:
        nodes === "all"
          ? everyNode
          : nodes.flatMap(({ name, weight }) => {
              const id = idOf.get(name);
              return id === undefined ? [] : [{ id, weight }];
            }),
    })),
  };
}
