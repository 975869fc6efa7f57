// Puts together what `pan status` shows. Reads only; takes one moment's values.
import type { InstanceReport } from "#wire/control/health-report.ts";
import type {
  CheckStatus,
  GroupStatus,
  InstanceStatus,
  MemberStatus,
  Status,
} from "#api/status.ts";
import { clusterMac } from "#base/delivery.ts";
import { MAX_NODE_ID, NO_NODE, NO_TABLES, type NodeId } from "#base/ids.ts";
import type { View } from "#core/membership/types.ts";
import type { HeldCounts } from "#core/steering/holding.ts";
import type { RefusalCounts } from "#core/steering/refusal.ts";
import type { TooBigCounts } from "#core/steering/too-big.ts";
import type { Delivery, GroupTable, Tables } from "#core/steering/tables.ts";
import type { Hook } from "#driver/bpf/types.ts";
import type { ClusterConfig, GroupConfig, NodeConfig } from "#config/schema.ts";
import type { ControlCounts } from "./followers.ts";
import type { FailoverLog } from "./failover-log.ts";
import type { HeartCounters } from "./heart-protocol.ts";
import type { Traffic } from "./traffic.ts";
import { vipStatus } from "./vip-status.ts";

export interface StatusSources {
  readonly self: NodeConfig;
  readonly config: ClusterConfig;
  readonly configVersion: Status["cluster"]["config"];
  readonly view: View | undefined;
  readonly tables: Tables | undefined;
  /** Of the tables that are in force here, which may be older. */
  readonly delivery: Delivery;
  readonly traffic: Traffic;
  readonly heart: HeartCounters | undefined;
  /** Of this machine, to VIPs. */
  readonly connections: number;
  readonly control: { readonly connected: number; readonly counts: ControlCounts };
  readonly failovers: FailoverLog;
  readonly events: Status["events"];
  /** What is known here of a node's instance of a group; the master knows all of them. */
  readonly instanceOf: (id: NodeId, group: string) => InstanceReport | undefined;
  readonly checks: readonly CheckStatus[];
  readonly drain: { readonly endsInMs: number | undefined; readonly closed: number };
  readonly sessions: Status["sessions"];
  readonly assignment: {
    readonly movesWaiting: number;
    readonly exceptions: { readonly count: number; readonly refused: number };
    readonly held: HeldCounts & RefusalCounts & TooBigCounts;
  };
  readonly datapath: {
    readonly hook: Hook;
    readonly interface: string;
    readonly arms: readonly string[];
    readonly leaseValid: boolean;
    readonly version: Status["datapath"]["version"];
  };
  readonly uptimeMs: number;
}

export function buildStatus(sources: StatusSources): Status {
  const { self, config, view, tables, failovers } = sources;
  const nameOf = (id: NodeId | undefined): string | undefined =>
    config.nodes.find((node) => node.id === id)?.name;
  const master = nameOf(view?.master);
  const secondary = nameOf(view?.secondary);
  return {
    node: { id: self.id, name: self.name, address: self.address, role: view?.role ?? "joining" },
    cluster: {
      name: config.cluster.name,
      ...(master === undefined ? {} : { master }),
      ...(secondary === undefined ? {} : { secondary }),
      epoch: view?.epoch ?? 0,
      config: sources.configVersion,
      tables: tables?.version ?? NO_TABLES,
      delivery: deliveryStatus(sources.delivery),
      ...(config.peering === undefined ? {} : { peerMacs: config.peering.mac }),
      keepaliveIntervalMs: view?.keepaliveIntervalMs ?? 0,
    },
    members: config.nodes.map((node) => memberStatus(node, sources)),
    groups: config.groups.map((group) => groupStatus(group, sources)),
    vips: vipStatus({ config, view, tables, nameOf }),
    datapath: {
      ...sources.datapath,
      arms: [...sources.datapath.arms],
      counters: reasonCounts(sources.traffic),
    },
    membership: membership(sources, nameOf),
    control: {
      connected: sources.control.connected,
      counts: [...sources.control.counts].map(([reason, count]) => ({ reason, count })),
    },
    assignment: assignmentStatus(sources.assignment),
    checks: [...sources.checks],
    drain: {
      closed: sources.drain.closed,
      ...(sources.drain.endsInMs === undefined ? {} : { endsInMs: sources.drain.endsInMs }),
    },
    sessions: sources.sessions,
    failovers: failovers.newestFirst(nameOf),
    events: sources.events,
    uptimeMs: Math.round(sources.uptimeMs),
  };
}

function assignmentStatus({
  movesWaiting,
  exceptions,
  held: { waiting, waitingBytes, ...counts },
}: StatusSources["assignment"]): Status["assignment"] {
  return {
    movesWaiting,
    exceptions: exceptions.count,
    exceptionsRefused: exceptions.refused,
    heldNow: waiting,
    heldBytes: waitingBytes,
    held: Object.entries(counts).map(([reason, count]) => ({ reason, count })),
  };
}

function deliveryStatus({ method, primary }: Delivery): Status["cluster"]["delivery"] {
  if (method === "forward" || primary === undefined) return { method };
  return { method, mac: clusterMac(method, primary) };
}

/** Its own packets are those that a node took; of another node's it knows only what it sent there. */
function memberTraffic(node: NodeConfig, { self, traffic, connections }: StatusSources) {
  if (node.id === self.id) return { ...traffic.taken, ...traffic.rateTaken, connections };
  const { packets, bytes } = traffic.counters?.nodes.get(node.id) ?? { packets: 0, bytes: 0 };
  return { packets, bytes, ...traffic.ofNode(node.id) };
}

function memberHearing(node: NodeConfig, { heart }: StatusSources) {
  const heard = heart?.heard.find(({ id }) => id === node.id);
  if (heard === undefined) return {};
  return { lossEstimate: heard.lossEstimate, lastHeardMs: Math.round(heard.lastHeardMs) };
}

function memberStatus(node: NodeConfig, sources: StatusSources): MemberStatus {
  const { view } = sources;
  const member = view?.members.find(({ id }) => id === node.id);
  const present = view?.master === node.id ? "master" : "member";
  return {
    id: node.id,
    name: node.name,
    address: node.address,
    ...(member === undefined ? {} : { mac: member.mac }),
    state: member === undefined ? "departed" : present,
    drained: node.drained,
    maintenance: node.maintenance === true,
    ...(node.delivery === undefined ? {} : { delivery: node.delivery }),
    ...memberHearing(node, sources),
    ...memberTraffic(node, sources),
  };
}

function groupStatus(group: GroupConfig, sources: StatusSources): GroupStatus {
  const table = sources.tables?.groups.find(({ name }) => name === group.name);
  const total = sources.traffic.counters?.groups.get(group.name);
  return {
    name: group.name,
    policy: group.policy,
    slots: group.slots,
    assignment: group.assignment,
    balance: group.balance,
    unassigned: table?.owners.reduce((count, id) => count + (id === NO_NODE ? 1 : 0), 0) ?? 0,
    services: group.services.map((service) => ({ ...service })),
    shares: shares(group, table, sources),
    packets: total?.packets ?? 0,
    packetsPerSecond: sources.traffic.ofGroup(group.name).packetsPerSecond,
  };
}

function shares(
  group: GroupConfig,
  table: GroupTable | undefined,
  { config, instanceOf }: StatusSources,
): GroupStatus["shares"] {
  const [slots, home] = [countOwners(table?.owners), countOwners(table?.home)];
  const weights =
    group.nodes === "all" ? config.nodes.map(({ name }) => ({ name, weight: 1 })) : group.nodes;
  return weights.flatMap(({ name, weight }) => {
    const node = config.nodes.find((each) => each.name === name);
    if (node === undefined) return [];
    const health = instanceStatus(group, node, instanceOf(node.id, group.name));
    const [own, atHome] = [slots[node.id] ?? 0, home[node.id] ?? 0];
    return [
      { node: name, weight, slots: own, home: atHome, ...(health === undefined ? {} : { health }) },
    ];
  });
}

/** Undefined: there is nothing to know of it, or it is not known here. */
function instanceStatus(
  { name, health, maintenance = [] }: GroupConfig,
  node: NodeConfig,
  known: InstanceReport | undefined,
): InstanceStatus | undefined {
  if (node.maintenance === true || maintenance.includes(node.name)) {
    return { state: "maintenance", part: 100, reason: "" };
  }
  if (health === undefined || known === undefined || known.name !== name) return undefined;
  return { state: known.state, part: known.part, reason: known.reason };
}

/** Slots by the id of their owner, in one pass: there may be 65 536 slots and hundreds of nodes. */
function countOwners(owners: Uint16Array | undefined): Uint32Array {
  const counts = new Uint32Array(MAX_NODE_ID + 1);
  for (const owner of owners ?? []) counts[owner] = (counts[owner] ?? 0) + 1;
  return counts;
}

function reasonCounts(traffic: Traffic): Status["datapath"]["counters"] {
  return Object.entries(traffic.counters?.reasons ?? {}).map(([reason, { packets }]) => ({
    reason,
    count: packets,
  }));
}

const sum = (counts: Readonly<Record<string, number>> | undefined): number =>
  Object.values(counts ?? {}).reduce((total, count) => total + count, 0);

function membership(
  { heart, failovers }: StatusSources,
  nameOf: (id: NodeId) => string | undefined,
): Status["membership"] {
  return {
    together: (heart?.together ?? []).flatMap((id) => nameOf(id) ?? []),
    sessionsMaySpeak: heart?.maySpeak ?? false,
    keepalivesSent: sum(heart?.sent),
    keepalivesReceived: sum(heart?.received),
    watchdogExpiries: failovers.watchdogExpiries,
    drops: Object.entries(heart?.dropped ?? {}).map(([reason, count]) => ({ reason, count })),
  };
}
