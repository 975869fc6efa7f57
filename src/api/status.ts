// What `pan status` shows: one node's view of itself, its cluster and its traffic, taken at one moment.
import { type Static, Type } from "typebox";
import { PEER_MAC_KINDS } from "#base/peering.ts";
import { EventsStatus } from "./events.ts";
import { SessionsStatus } from "./sessions.ts";
import { Count, DeliveryMethod, ServiceName, TableVersion } from "./shapes.ts";

const Role = Type.Union([
  Type.Literal("joining"),
  Type.Literal("offering"),
  Type.Literal("member"),
  Type.Literal("master"),
]);

const nodeFields = {
  id: Type.Integer({ minimum: 1, maximum: 4095 }),
  name: Type.String(),
  address: Type.String(),
};

export const MemberStatus = Type.Object(
  {
    ...nodeFields,
    mac: Type.Optional(Type.String()),
    state: Type.Union([Type.Literal("master"), Type.Literal("member"), Type.Literal("departed")]),
    drained: Type.Boolean(),
    maintenance: Type.Boolean(),
    delivery: Type.Optional(
      Type.Union([Type.Literal("ipip"), Type.Literal("geneve")], {
        description: "How frames reach it, where it is not on the segment of the VIPs (B11)",
      }),
    ),
    lossEstimate: Type.Optional(
      Type.Number({
        minimum: 0,
        maximum: 1,
        description:
          "Lost share of its keepalives (A17). The master knows it of every member, a member of the master",
      }),
    ),
    lastHeardMs: Type.Optional(
      Type.Number({
        minimum: 0,
        description:
          "Milliseconds from its last keepalive until the heart looked last, which it does every second. Known as the loss is",
      }),
    ),
    packets: Type.Integer({
      description:
        "This node: taken by its packet program for its own server so far, whatever the delivery method. Another one: sent to it by this node's packet program, so nearly nothing where every member filters",
    }),
    bytes: Type.Integer(),
    packetsPerSecond: Type.Number(),
    bytesPerSecond: Type.Number(),
    connections: Type.Optional(
      Type.Integer({
        description:
          "TCP connections to VIPs on that node; each node knows its own, as of the last two seconds",
      }),
    ),
  },
  { title: "MemberStatus" },
);
export type MemberStatus = Static<typeof MemberStatus>;

/** B7: the instance of a group on a node. */
export const InstanceStatus = Type.Object(
  {
    state: Type.Union(
      [
        Type.Literal("up"),
        Type.Literal("down"),
        Type.Literal("unknown"),
        Type.Literal("maintenance"),
      ],
      { description: "unknown: no check has come to a result yet" },
    ),
    part: Type.Integer({
      minimum: 1,
      maximum: 100,
      description: "Percent of its share that it takes (slow start)",
    }),
    reason: Type.String({ description: "Why it is down; may be empty" }),
  },
  { title: "InstanceStatus" },
);
export type InstanceStatus = Static<typeof InstanceStatus>;

export const CheckStatus = Type.Object(
  {
    group: Type.String(),
    check: Type.String({ description: "Name of the check" }),
    state: Type.Union([Type.Literal("unknown"), Type.Literal("passes"), Type.Literal("fails")]),
    finding: Type.String({ description: "What its last run found" }),
    passed: Type.Integer({ description: "Runs that passed since the agent started" }),
    failed: Type.Integer({ description: "Runs that failed since the agent started" }),
  },
  { title: "CheckStatus" },
);
export type CheckStatus = Static<typeof CheckStatus>;

export const GroupStatus = Type.Object(
  {
    name: Type.String(),
    policy: Type.String(),
    slots: Type.Integer(),
    assignment: Type.Union([Type.Literal("eager"), Type.Literal("lazy")], {
      description: "When a slot gets an owner (A9)",
    }),
    balance: Type.Union([Type.Literal("weights"), Type.Literal("packets"), Type.Literal("bytes")], {
      description: "What nodes share by their weights (A8)",
    }),
    unassigned: Type.Integer({ description: "Slots without an owner now" }),
    services: Type.Array(ServiceName),
    shares: Type.Array(
      Type.Object({
        node: Type.String({ description: "Name of the node" }),
        slots: Type.Integer({ description: "Slots it owns now" }),
        home: Type.Integer({ description: "Slots it owns when every node serves" }),
        weight: Type.Integer(),
        health: Type.Optional(InstanceStatus),
      }),
    ),
    packets: Type.Integer({ description: "Decided by this node's packet program so far" }),
    packetsPerSecond: Type.Number(),
  },
  { title: "GroupStatus" },
);
export type GroupStatus = Static<typeof GroupStatus>;

/** B10: who answers for a virtual address. */
export const VipStatus = Type.Object(
  {
    vip: Type.String(),
    node: Type.Optional(
      Type.String({
        description: "Name of its interface node; absent: it is on its way from one to another",
      }),
    ),
    home: Type.Optional(
      Type.String({
        description: "Its interface node while every node lives, where VIPs are spread",
      }),
    ),
    backups: Type.Array(Type.String(), {
      description: "Who would be it if that one died, then that one, and so on",
    }),
  },
  { title: "VipStatus" },
);
export type VipStatus = Static<typeof VipStatus>;

export const Failover = Type.Object(
  {
    at: Type.String({ description: "Time of day, ISO 8601" }),
    node: Type.String({ description: "Name of the node that left" }),
    reason: Type.String(),
    tookMs: Type.Optional(
      Type.Number({ description: "From its last keepalive until its slots had new owners" }),
    ),
  },
  { title: "Failover" },
);

/** Length of `failovers`; older ones are forgotten. */
export const MAX_FAILOVERS = 20;

export const Status = Type.Object(
  {
    node: Type.Object({ ...nodeFields, role: Role }),
    cluster: Type.Object({
      name: Type.String(),
      master: Type.Optional(Type.String({ description: "Name of the node" })),
      secondary: Type.Optional(Type.String({ description: "Name of the node" })),
      epoch: Type.Integer(),
      config: Type.Object({ counter: Type.Integer(), digest: Type.String() }),
      tables: TableVersion,
      delivery: Type.Object(
        {
          method: DeliveryMethod,
          mac: Type.Optional(Type.String({ description: "Cluster MAC that clients are told" })),
        },
        { description: "Of the tables in force here (A13)" },
      ),
      peerMacs: Type.Optional(
        Type.Enum(PEER_MAC_KINDS, {
          description: "Which MACs members that share one have among each other (C3, C11, C12)",
        }),
      ),
      keepaliveIntervalMs: Type.Number(),
    }),
    members: Type.Array(MemberStatus),
    groups: Type.Array(GroupStatus),
    vips: Type.Object(
      {
        spread: Type.Boolean({
          description: "By these tables VIPs have interface nodes of their own; false: the master",
        }),
        addresses: Type.Array(VipStatus),
      },
      { description: "Virtual addresses, by the newest tables known here (B10)" },
    ),
    datapath: Type.Object({
      hook: Type.Union([Type.Literal("xdp"), Type.Literal("tc"), Type.Literal("none")]),
      interface: Type.String(),
      arms: Type.Array(Type.String(), { description: "More interfaces with client traffic (A22)" }),
      counters: Type.Array(Count, { description: "Packets by verdict and reason" }),
      leaseValid: Type.Boolean({
        description: "This node may answer for the VIPs of which the master is the interface node",
      }),
      version: TableVersion,
    }),
    membership: Type.Object({
      together: Type.Array(Type.String(), {
        description:
          "Nodes that were together last: sessions speak in the part of the cluster that has most of these (A16). Up to a second old",
      }),
      sessionsMaySpeak: Type.Boolean({
        description: "Sessions of this node may send to their clients. Up to a second old",
      }),
      keepalivesSent: Type.Integer(),
      keepalivesReceived: Type.Integer(),
      watchdogExpiries: Type.Integer(),
      drops: Type.Array(Count, { description: "Messages refused, by reason" }),
    }),
    control: Type.Object(
      {
        connected: Type.Integer({ description: "Members connected to this node now" }),
        counts: Type.Array(Count, { description: "Connections accepted, refused (why), closed" }),
      },
      { description: "The control channel's end at this node, to which members come" },
    ),
    assignment: Type.Object(
      {
        movesWaiting: Type.Integer({
          description:
            "Slots that are to move and cannot yet: acknowledgements are missing, or former owners still have connections. Only the master knows",
        }),
        exceptions: Type.Integer({
          description: "Connections that are pinned to a node other than their slot's owner (B4)",
        }),
        exceptionsRefused: Type.Integer({
          description:
            "How often one was not pinned because there was no room, since the start. Only the master knows",
        }),
        heldNow: Type.Integer({ description: "Frames that wait in this node's agent (A15)" }),
        heldBytes: Type.Integer(),
        held: Type.Array(Count, {
          description:
            "Frames that waited, or were answered, by what became of them. tooBig…: they did not fit into the tunnel to their node (B11)",
        }),
      },
      { description: "Slots on their way, and frames that wait for them" },
    ),
    checks: Type.Array(CheckStatus, { description: "Health checks that this node runs (B7)" }),
    drain: Type.Object(
      {
        endsInMs: Type.Optional(
          Type.Integer({ description: "Until connections are closed; 0: they have been" }),
        ),
        closed: Type.Integer({ description: "Connections closed since the agent started" }),
      },
      { description: "The deadline of this node's drain (B7)" },
    ),
    sessions: Type.Array(SessionsStatus, {
      description: "Servers on this machine whose connections outlive their member (A16)",
    }),
    failovers: Type.Array(Failover, { maxItems: MAX_FAILOVERS, description: "Newest first" }),
    events: EventsStatus,
    uptimeMs: Type.Number({ description: "Since this agent started" }),
  },
  { title: "Status" },
);
export type Status = Static<typeof Status>;
