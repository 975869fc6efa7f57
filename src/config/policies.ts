// By what a group's flows are told apart (B3, A14, A22): the values of `policy`, and what the reference page says of them.

export const POLICIES = [
  "weighted",
  "sticky",
  "wildcard-sticky",
  "failover",
  "routed",
  "routed-symmetric",
  "quic",
] as const;

type Policy = (typeof POLICIES)[number];

/** Its traffic goes through the cluster; its groups have no services (A22). */
export const isRouted = (policy: Policy | undefined): boolean =>
  policy === "routed" || policy === "routed-symmetric";

export const POLICIES_TEXT =
  "`weighted`: by source address and port, SPI, call id or tunnel and session. `sticky`: by source address. " +
  "`wildcard-sticky`: by source address over all ports of a virtual address (B3). " +
  "`failover`: the first node of the list that works has everything. " +
  "`routed`: traffic through the cluster, by source and destination address; " +
  "`routed-symmetric`: the same node in both directions (A22). " +
  "`quic`: the node whose id the server has put into the connection id, and before that as `weighted` (A14).";
