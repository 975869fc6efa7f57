// The nodes that a configuration names, as membership sees them.
import type { ClusterConfig } from "#config/schema.ts";
import type { AdmittedNode } from "#core/membership/protocol.ts";

export const admittedNodes = ({ nodes }: ClusterConfig): AdmittedNode[] =>
  nodes.map(({ id, name, address, delivery }) => ({
    ...{ id, name, address },
    ...(delivery === undefined ? {} : { remote: true }),
  }));
