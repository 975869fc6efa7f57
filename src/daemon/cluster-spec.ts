// The configuration, as an operator writes it, in the terms of the core; and which parts of it need a new start.
import type { Measure } from "#base/assignment.ts";
import type { NodeId } from "#base/ids.ts";
import { isRouted } from "#config/policies.ts";
import type { ClusterConfig, GroupConfig } from "#config/schema.ts";
import { virtualAddresses } from "#config/config.ts";
import type { ClusterSpec, GroupSpec, WhenNone } from "#core/node/cluster-spec.ts";

/** Settings that a running agent does not change; it goes on with those it started with. */
export function waitingForRestart(started: ClusterConfig, now: ClusterConfig): string[] {
  const settings: readonly (readonly [string, unknown, unknown])[] = [
    ["cluster.port", started.cluster.port, now.cluster.port],
    ["cluster.interface", started.cluster.interface, now.cluster.interface],
    ["cluster.paths", started.cluster.paths?.join(), now.cluster.paths?.join()],
    ["cluster.arms", started.cluster.arms?.join(), now.cluster.arms?.join()],
    ["peering", peeringAtStart(started), peeringAtStart(now)],
    ["datapath.hook", started.datapath.hook, now.datapath.hook],
    ["datapath.slotCapacity", started.datapath.slotCapacity, now.datapath.slotCapacity],
  ];
  const changed = settings.filter(([, before, after]) => before !== after).map(([name]) => name);
  return [...changed, ...waitingSorryPorts(started, now)];
}

/** Where the agent may have been started with XDP, which has no sockets (docs/adr/0032). */
const waitingSorryPorts = (started: ClusterConfig, now: ClusterConfig): string[] =>
  started.datapath.hook === "tc"
    ? []
    : now.groups.flatMap(({ name, sorryPort }) =>
        sorryPort === undefined ? [] : [`groups.${name}.sorryPort (needs the hook tc)`],
      );

/** What of peering an interface has to be set up anew for; choices are followed at once. */
function peeringAtStart({ peering }: ClusterConfig): string {
  return peering === undefined ? "off" : `primary ${peering.primary}`;
}

export function clusterSpec(config: ClusterConfig): ClusterSpec {
  const idOf = new Map(config.nodes.map(({ name, id }) => [name, id]));
  const everyNode = config.nodes.map(({ id }) => ({ id, weight: 1 }));
  return {
    method: config.delivery.method,
    primary: config.peering?.primary,
    hash: config.hash,
    vips: virtualAddresses(config),
    ...interfaceNodesOf(config, idOf),
    drained: config.nodes
      .filter(({ drained, maintenance }) => drained || maintenance === true)
      .map(({ id }) => id),
    groups: config.groups.map((group) => ({
      ...rulesOf(group, idOf),
      udpIdleMs: group.udpIdleTimeoutMs,
      nodes:
        group.nodes === "all"
          ? everyNode
          : group.nodes.flatMap(({ name, weight }) => {
              const id = idOf.get(name);
              return id === undefined ? [] : [{ id, weight }];
            }),
    })),
  };
}

/** Every node on the segment can have a VIP, if nobody else is left. */
function interfaceNodesOf(
  { nodes, interfaceNodes }: ClusterConfig,
  idOf: ReadonlyMap<string, NodeId>,
): Pick<ClusterSpec, "interfaceNodes"> {
  if (interfaceNodes === undefined) return {};
  const { nodes: listed, preempt, ranked } = interfaceNodes;
  const weights = listed === "all" ? undefined : new Map(listed.map((n) => [n.name, n.weight]));
  return {
    interfaceNodes: {
      nodes: nodes
        .filter(({ delivery }) => delivery === undefined)
        .map(({ name, id }) => ({
          id,
          weight: weights === undefined ? 1 : (weights.get(name) ?? 0),
        })),
      ...(preempt === false ? { stays: true } : {}),
      ranked: ranked.map(({ vip, nodes: names }) => ({
        vip,
        nodes: names.flatMap((name) => idOf.get(name) ?? []),
      })),
    },
  };
}

function rulesOf(group: GroupConfig, idOf: ReadonlyMap<string, NodeId>): Omit<GroupSpec, "nodes"> {
  const { name, policy, slots, services, assignment, balance, health, maintenance = [] } = group;
  return {
    name,
    slots,
    services,
    assignment,
    balance,
    // one node has all slots: how flows are spread over them is all the same
    policy: policy === "failover" ? "sticky" : policy,
    ordered: policy === "failover",
    checked: health !== undefined,
    maintenance: maintenance.flatMap((each) => idOf.get(each) ?? []),
    ...(isRouted(policy) ? {} : { whenNone: whenNoneOf(group, idOf) }),
  };
}

function whenNoneOf(
  { whenNone = "reset", sorry = "" }: GroupConfig,
  idOf: ReadonlyMap<string, NodeId>,
): WhenNone {
  if (whenNone !== "sorry") return { type: whenNone };
  const node = idOf.get(sorry);
  return node === undefined ? { type: "reset" } : { type: "sorry", node };
}

/** What the slots of each group are measured by, where it is balanced by measured load (A8). */
export function measuredGroups({ groups }: ClusterConfig): ReadonlyMap<string, Measure> {
  const measured = new Map<string, Measure>();
  for (const { name, balance } of groups) if (balance !== "weights") measured.set(name, balance);
  return measured;
}
