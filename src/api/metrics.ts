// The numbers of `pan status` as Prometheus metrics: the same moment, the same names of reasons.
import { Counter, Gauge, Registry } from "@prometheus-io/client";
import type { ApplicationsStatus } from "./applications.ts";
import { sessionFamilies } from "./session-metrics.ts";
import type { Status } from "./status.ts";

export const METRICS_TYPE = "text/plain; version=0.0.4; charset=utf-8";

interface Sample {
  readonly labels?: Readonly<Record<string, string>>;
  readonly value: number;
}

export interface Family {
  readonly name: string;
  readonly help: string;
  readonly type: "counter" | "gauge";
  readonly samples: readonly Sample[];
}

const flag = (on: boolean): number => (on ? 1 : 0);

type Samples = readonly Sample[];

const gauge = (name: string, help: string, samples: Samples): Family => ({
  name,
  help,
  type: "gauge",
  samples,
});
const counter = (name: string, help: string, samples: Samples): Family => ({
  name,
  help,
  type: "counter",
  samples,
});
/** The one value that this node has. */
const one = (value: number): Samples => [{ value }];
const byReason = (counts: Status["datapath"]["counters"]): Samples =>
  counts.map(({ reason, count }) => ({ labels: { reason }, value: count }));

function nodeFamilies({ node, cluster, datapath, membership, uptimeMs }: Status): Family[] {
  const { config, epoch, keepaliveIntervalMs } = cluster;
  const { version, leaseValid } = datapath;
  const ofSessions = "1 while sessions of this node may send to their clients (A16)";
  const ofLease = "1 while this node may answer for the virtual addresses";
  return [
    gauge("panoply_up_seconds", "Time since the agent started", one(uptimeMs / 1000)),
    gauge("panoply_role", "1 for the role that this node has", [
      { labels: { role: node.role }, value: 1 },
    ]),
    gauge("panoply_cluster_epoch", "Rises with every mastership", one(epoch)),
    gauge("panoply_config_counter", "Counter of the configuration in force", one(config.counter)),
    gauge(
      "panoply_table_counter",
      "Counter of the distribution tables in force in the kernel",
      one(version.counter),
    ),
    gauge("panoply_lease_valid", ofLease, one(flag(leaseValid))),
    gauge("panoply_sessions_may_speak", ofSessions, one(flag(membership.sessionsMaySpeak))),
    gauge(
      "panoply_keepalive_interval_seconds",
      "Interval between keepalives",
      one(keepaliveIntervalMs / 1000),
    ),
  ];
}

function memberFamilies({ members }: Status): Family[] {
  type Member = Status["members"][number];
  const per = (pick: (member: Member) => number | undefined): Samples =>
    members.flatMap((member) => {
      const value = pick(member);
      return value === undefined ? [] : [{ labels: { node: member.name }, value }];
    });
  return [
    gauge(
      "panoply_member",
      "1 while the node is a member of the cluster",
      per(({ state }) => flag(state !== "departed")),
    ),
    gauge(
      "panoply_member_drained",
      "1 while the node takes no new connections",
      per(({ drained }) => flag(drained)),
    ),
    gauge(
      "panoply_member_loss_ratio",
      "Estimated lost share of the member's keepalives",
      per(({ lossEstimate }) => lossEstimate),
    ),
    gauge(
      "panoply_member_last_heard_seconds",
      "Time since the member's last keepalive",
      per(({ lastHeardMs }) => (lastHeardMs === undefined ? undefined : lastHeardMs / 1000)),
    ),
    gauge(
      "panoply_member_connections",
      "Established TCP connections to virtual addresses on the member",
      per(({ connections }) => connections),
    ),
    counter(
      "panoply_member_packets_total",
      "Packets that this node's packet program sent to the member, or took, if it is this node",
      per(({ packets }) => packets),
    ),
    counter(
      "panoply_member_bytes_total",
      "Bytes that this node's packet program sent to the member, or took, if it is this node",
      per(({ bytes }) => bytes),
    ),
  ];
}

/** Health of services (B7). */
function healthFamilies({ groups, checks, drain }: Status): Family[] {
  const instances = groups.flatMap(({ name, shares }) =>
    shares.flatMap(({ node, health }) =>
      health === undefined ? [] : [{ labels: { group: name, node }, health }],
    ),
  );
  return [
    {
      name: "panoply_instance_up",
      help: "1 while the group's instance on the node works, 0 while it does not or is in maintenance",
      type: "gauge",
      samples: instances
        .filter(({ health }) => health.state !== "unknown")
        .map(({ labels, health }) => ({ labels, value: flag(health.state === "up") })),
    },
    {
      name: "panoply_instance_part_ratio",
      help: "Part of its share that the instance takes (slow start)",
      type: "gauge",
      samples: instances.map(({ labels, health }) => ({ labels, value: health.part / 100 })),
    },
    {
      name: "panoply_drain_closed_connections_total",
      help: "Connections that were closed when the deadline of a drain was over",
      type: "counter",
      samples: [{ value: drain.closed }],
    },
    {
      name: "panoply_health_checks_total",
      help: "Runs of this node's health checks, by result",
      type: "counter",
      samples: checks.flatMap(({ group, check, passed, failed }) => [
        { labels: { group, check, result: "passed" }, value: passed },
        { labels: { group, check, result: "failed" }, value: failed },
      ]),
    },
  ];
}

/** Slots on their way, and frames that wait for them (A8, A15). */
function assignmentFamilies({ groups, assignment }: Status): Family[] {
  const { movesWaiting, exceptions, exceptionsRefused, heldNow, held } = assignment;
  return [
    gauge(
      "panoply_group_slots_unassigned",
      "Slots without an owner",
      groups.map(({ name, unassigned }) => ({ labels: { group: name }, value: unassigned })),
    ),
    gauge("panoply_moves_waiting", "Slots that are to move and cannot yet", one(movesWaiting)),
    gauge(
      "panoply_exceptions",
      "Connections pinned to a node other than their slot's owner",
      one(exceptions),
    ),
    counter(
      "panoply_exceptions_refused_total",
      "How often a connection was not pinned because there was no room; at the master",
      one(exceptionsRefused),
    ),
    gauge("panoply_held_frames", "Frames that wait for an owner or a first fragment", one(heldNow)),
    counter(
      "panoply_held_frames_total",
      "Frames that waited, by what became of them",
      byReason(held),
    ),
  ];
}

function trafficFamilies({ groups, datapath, membership, control }: Status): Family[] {
  const slots = groups.flatMap(({ name, shares }) =>
    shares.map((share) => ({ labels: { group: name, node: share.node }, value: share.slots })),
  );
  const { keepalivesSent, keepalivesReceived, watchdogExpiries, drops } = membership;
  return [
    gauge("panoply_group_slots", "Slots that a node owns", slots),
    counter(
      "panoply_group_packets_total",
      "Packets of the group that this node's packet program decided",
      groups.map(({ name, packets }) => ({ labels: { group: name }, value: packets })),
    ),
    counter(
      "panoply_datapath_packets_total",
      "Packets by verdict and reason",
      byReason(datapath.counters),
    ),
    counter("panoply_keepalives_sent_total", "Keepalives sent", one(keepalivesSent)),
    counter("panoply_keepalives_received_total", "Keepalives accepted", one(keepalivesReceived)),
    counter(
      "panoply_watchdog_expiries_total",
      "Members or masters that fell silent",
      one(watchdogExpiries),
    ),
    counter(
      "panoply_messages_dropped_total",
      "Cluster messages that were refused",
      byReason(drops),
    ),
    counter(
      "panoply_control_connections_total",
      "Connections of members, by what became of them",
      byReason(control.counts),
    ),
  ];
}

function applicationFamilies({ applications, hooks, counts }: ApplicationsStatus): Family[] {
  return [
    gauge("panoply_applications", "Applications that are connected", one(applications.length)),
    gauge("panoply_hook_events_waiting", "Events that wait for hooks", one(hooks.waiting)),
    counter(
      "panoply_application_events_total",
      "What was counted of applications, votes and hooks",
      byReason(counts),
    ),
  ];
}

function eventFamilies({ events }: Status): Family[] {
  return [
    {
      name: "panoply_events_kept",
      help: "Events in this node's event log",
      type: "gauge",
      samples: [{ value: events.kept }],
    },
    {
      name: "panoply_events_dropped_total",
      help: "Events that made room for later ones, ever",
      type: "counter",
      samples: [{ value: events.dropped }],
    },
    {
      name: "panoply_events_lost_total",
      help: "Events since the start that could not be kept",
      type: "counter",
      samples: [{ value: events.lost }],
    },
    {
      name: "panoply_event_followers",
      help: "Clients that follow this node's events now",
      type: "gauge",
      samples: [{ value: events.followers }],
    },
  ];
}

function register(registry: Registry, { name, help, type, samples }: Family): void {
  const labelNames = Object.keys(samples[0]?.labels ?? {});
  const options = { name, help, labelNames, registers: [registry] };
  if (type === "counter") {
    const metric = new Counter(options);
    for (const { labels, value } of samples) metric.inc(labels ?? {}, value);
  } else {
    const metric = new Gauge(options);
    for (const { labels, value } of samples) metric.set(labels ?? {}, value);
  }
}

/** One scrape in the Prometheus text format 0.0.4. */
export function renderMetrics(status: Status, applications: ApplicationsStatus): Promise<string> {
  const registry = new Registry();
  for (const family of [
    ...nodeFamilies(status),
    ...memberFamilies(status),
    ...healthFamilies(status),
    ...assignmentFamilies(status),
    ...trafficFamilies(status),
    ...eventFamilies(status),
    ...applicationFamilies(applications),
    ...sessionFamilies(status.sessions),
  ]) {
    // Without a sample the library would print a zero that nobody measured.
    if (family.samples.length > 0) register(registry, family);
  }
  return registry.metrics();
}
