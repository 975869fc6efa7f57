// A small cluster as a controller is told of it, for tests: one VIP, one weighted group "web" with port 80, members by their ids.
import { ip, mac } from "#base/address.ts";
import { NO_NODE, NO_TABLES, nodeId, type NodeId } from "#base/ids.ts";
import type { Member, View } from "#core/membership/types.ts";
import type { ClusterSpec, GroupSpec } from "../cluster-spec.ts";

export const VIP = ip("10.0.0.100");

/** Weights of the nodes 1, 2, 3 …; everything else as usual, or as told. */
export const groupOf = (
  weights: readonly number[],
  change: Partial<GroupSpec> = {},
): GroupSpec => ({
  name: "web",
  policy: "weighted",
  slots: 16,
  services: [{ protocol: "tcp", vip: VIP, port: 80 }],
  nodes: weights.map((weight, index) => ({ id: nodeId(index + 1), weight })),
  assignment: "eager",
  balance: "weights",
  ...change,
});

export const specOf = (group: GroupSpec, change: Partial<ClusterSpec> = {}): ClusterSpec => ({
  method: "forward",
  hash: "keyed",
  vips: [VIP],
  drained: [],
  groups: [group],
  ...change,
});

export const member = (id: NodeId): Member => ({
  id,
  address: ip(`10.0.0.${id}`),
  mac: mac(`02:00:00:00:00:0${id}`),
});

/** What a node sees whose master is the first of these members, or another one that is told. */
export function viewOf(ids: readonly NodeId[], change: Partial<View> = {}): View {
  const master = change.master ?? ids[0] ?? NO_NODE;
  return {
    role: "master",
    epoch: 1,
    master,
    secondary: ids.find((id) => id !== master) ?? NO_NODE,
    members: ids.map(member),
    keepaliveIntervalMs: 100,
    config: { counter: 1, digest: "00" },
    tables: NO_TABLES,
    ...change,
  };
}
