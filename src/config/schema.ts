// The one schema of the cluster configuration: types, defaults, limits and reference page come from
// here, so that none of them can disagree with what is accepted. One YAML file describes one cluster.
import { type Static, Type } from "typebox";
import type { IpAddress, MacAddress } from "#base/address.ts";
import { ASSIGNMENTS, BALANCES, type Assignment, type Balance } from "#base/assignment.ts";
import {
  DELIVERY_METHODS,
  type DeliveryMethod,
  HASH_KINDS,
  type HashKind,
} from "#base/delivery.ts";
import { MAX_NODE_ID, type NodeId } from "#base/ids.ts";
import { Address, closed, Mac, Name } from "./fields.ts";
import { Health, type HealthConfig } from "./health-schema.ts";
import { POLICIES, POLICIES_TEXT } from "./policies.ts";
import { interfaceNodesSchema, type InterfaceNodesConfig } from "./interface-nodes-schema.ts";
import { type NodeDelivery, nodeDeliveryFields } from "./node-delivery-schema.ts";
import { type SplitOfTwo, SPLITS_OF_TWO } from "#base/split-of-two.ts";
import { Peering, type PeeringConfig } from "./peering-schema.ts";

/** The most of everything that one configuration may hold. What is beyond is refused, never cut. */
export const LIMITS = {
  nodes: MAX_NODE_ID,
  groups: 1024,
  services: 16_384,
  vips: 4096,
  revoked: 4096,
  /** More interfaces than these one node does not have; the packet program keeps a list of them. */
  arms: 7, // and paths, together
  /** Dedicated addresses of one node beside `address`; the peering programs have room for so many MACs. */
  addresses: 6,
  weight: 1000,
  /** A week. */
  drainDeadlineMs: 604_800_000,
  slotsPerGroup: 65_536,
  /** All groups together: what the control channel carries (core/steering). */
  slots: 1_048_576,
  fileCharacters: 4 * 1024 * 1024,
  /** What is reported of one file; suggestions cost time, and nobody reads more. */
  problems: 200,
} as const;

const Interface = (description: string) =>
  Type.String({
    pattern: "^[^\\s/:]{1,15}$",
    hint: "the name of a network interface, at most 15 characters, as `ip link` shows it",
    description,
  });
const Interfaces = (description: string) =>
  Type.Optional(
    Type.Array(Interface("Name of an interface."), { maxItems: LIMITS.arms, description }),
  );
const Cluster = Type.Object(
  {
    name: Name("Name of the cluster. It is part of every certificate: do not change it later."),
    port: Type.Integer({
      minimum: 1,
      maximum: 65_535,
      default: 7450,
      description: "UDP and TCP port on which the nodes talk to each other.",
    }),
    interface: Interface(
      "Interface that carries client and cluster traffic, on every node that names none itself.",
    ),
    arms: Interfaces(
      "More interfaces that carry client traffic, such as the other side of a gateway (A22), on every node that names none itself. " +
        "Each answers for the virtual addresses of its own network.",
    ),
    paths: Interfaces(
      "Private interfaces by which nodes hand packets to each other (B11), on every node that names none itself. The first one of every node is " +
        "in one segment, the second one in another, and so on. Packets are spread over those that work; while none does, they go by the cluster interface.",
    ),
    ca: Type.Optional(
      Type.String({
        pattern: "^sha256:[0-9a-f]{64}$",
        hint: '"sha256:" and 64 lower-case hex digits, as `pan ca init` prints them',
        description:
          "Fingerprint of the cluster's CA certificate. With it a node refuses a bundle of any other CA.",
      }),
    ),
  },
  { ...closed, description: "The cluster as a whole." },
);

const Detection = Type.Object(
  {
    intervalMs: Type.Integer({
      minimum: 20,
      maximum: 60_000,
      default: 200,
      description: "Silence after which a node counts as dead (A12), in milliseconds.",
    }),
    offerMs: Type.Integer({
      minimum: 10,
      maximum: 60_000,
      default: 100,
      description: "How long a node that offers to be master waits for objections (A3), in ms.",
    }),
  },
  { ...closed, default: {}, description: "How fast a failure is noticed." },
);

const Applications = Type.Object(
  {
    voteMs: Type.Integer({
      minimum: 50,
      maximum: 60_000,
      default: 2000,
      description:
        "How long applications at the master may think about a node that wants to join (A10), in ms.",
    }),
    unanswered: Type.Enum(["accept", "refuse"], {
      default: "accept",
      description: "What holds when an application that votes does not answer in that time.",
    }),
  },
  { ...closed, default: {}, description: "How applications vote on joins, where some do." },
);

const Datapath = Type.Object(
  {
    hook: Type.Enum(["auto", "xdp", "tc"], {
      default: "auto",
      description:
        "Where packets are steered. `auto`: XDP where the driver has it natively, else tc ingress.",
    }),
    slotCapacity: Type.Integer({
      minimum: 2,
      maximum: LIMITS.slots,
      default: 262_144,
      description: "Slots of all groups together for which every node reserves memory at start.",
    }),
  },
  { ...closed, default: {}, description: "The packet path in the kernel." },
);

const Delivery = Type.Object(
  {
    method: Type.Enum(DELIVERY_METHODS, {
      default: "forward",
      description:
        "How client traffic reaches the members (A13). `forward`: one member receives it and forwards. " +
        "`unicast`, `multicast`, `igmp`: every member receives it and one of them serves it. " +
        "`pan delivery set` changes it while connections go on.",
    }),
  },
  { ...closed, default: {}, description: "The way from the clients to the members." },
);

const Sessions = Type.Object(
  {
    splitOfTwo: Type.Enum(SPLITS_OF_TWO, {
      default: "both",
      description:
        "Which sessions go on where two members lose each other (A16). `both`: those of whoever is left, so a death never silences the other one, " +
        "and in a split that a client hears both sides of, both speak. `lowest`: those of the member with the lower id; the other is silent until they meet again, " +
        "also where the lower one has died.",
    }),
  },
  { ...closed, description: "Sessions that outlive their member." },
);

const Node = Type.Object(
  {
    name: Name("Name of the node; the common name of its certificate."),
    id: Type.Integer({
      minimum: 1,
      maximum: MAX_NODE_ID,
      description: "Number of the node, unique in the cluster. `pan node add` picks a free one.",
    }),
    address: Address(
      "The node's dedicated IPv4 address. Never a virtual address; those may be IPv6 too.",
    ),
    interface: Type.Optional(
      Interface("Interface of this node where it is not `cluster.interface`."),
    ),
    arms: Interfaces("Arms of this node where they are not `cluster.arms`."),
    addresses: Type.Optional(
      Type.Array(Address("An IPv4 or IPv6 address."), {
        maxItems: LIMITS.addresses,
        description:
          "More addresses of the node's own by which members reach it where they share one MAC (`peering`): IPv6, and those of its arms.",
      }),
    ),
    mac: Type.Optional(Mac("The node's dedicated MAC, used with `peering.mac: table` (C12).")),
    paths: Interfaces("Private interfaces of this node where they are not `cluster.paths`."),
    ...nodeDeliveryFields,
    drained: Type.Boolean({
      default: false,
      description: "True: the node gets no new connections and keeps its established ones.",
    }),
    drainDeadlineMs: Type.Optional(
      Type.Integer({
        minimum: 0,
        maximum: LIMITS.drainDeadlineMs,
        description:
          "With `drained`: connections that are left after so long are closed, in milliseconds from when the node hears of it. " +
          "`pan drain --deadline` sets it. Default: they finish, however long that takes.",
      }),
    ),
    maintenance: Type.Optional(
      Type.Boolean({
        description:
          "True: as drained, and no health checks run on it. `pan maintenance` sets it. Default: false.",
      }),
    ),
  },
  { ...closed, description: "One machine that may join (A2)." },
);

const WeightedNode = Type.Object(
  {
    name: Name("Name of a node in `nodes`."),
    weight: Type.Integer({
      minimum: 0,
      maximum: LIMITS.weight,
      default: 1,
      description: "Share of the slots relative to the other nodes' weights; 0: no slots.",
    }),
  },
  { ...closed, description: "One configuration node of the group." },
);

const Group = Type.Object(
  {
    name: Name("Name of the service group."),
    policy: Type.Enum(POLICIES, {
      default: "weighted",
      description: POLICIES_TEXT,
    }),
    slots: Type.Integer({
      minimum: 2,
      maximum: LIMITS.slotsPerGroup,
      default: 1024,
      powerOfTwo: true,
      description: "Size of the distribution table, a power of two. More slots: finer weights.",
    }),
    assignment: Type.Enum(ASSIGNMENTS, {
      default: "eager",
      description:
        "When the slots of a dead or new node get an owner (A9, A15). `eager`: at once. `lazy`: when a packet " +
        "wants them; that packet is held meanwhile.",
    }),
    balance: Type.Enum(BALANCES, {
      default: "weights",
      description:
        "What nodes share in the ratio of their weights (A8). `weights`: slots, exactly. `packets`, `bytes`: measured " +
        "load; every 2 s one slot moves from the most to the least loaded node where that helps.",
    }),
    udpIdleTimeoutMs: Type.Integer({
      minimum: 0,
      maximum: 86_400_000,
      default: 0,
      description:
        "A UDP session stays at its node for so long after its last packet, whatever becomes of its slot (B12). " +
        "0: UDP follows the table. A session costs the node that serves it a lookup for each packet.",
    }),
    nodes: Type.Union(
      [Type.Literal("all"), Type.Array(WeightedNode, { minItems: 1, maxItems: LIMITS.nodes })],
      {
        default: "all",
        description: "Nodes that may serve the group: `all` with equal weight, or a list.",
      },
    ),
    services: Type.Array(
      Type.String({
        format: "service",
        description:
          'Protocol, virtual address and port: "tcp 10.77.0.100:80", "udp [fd77::100]:53", ' +
          '"tcp 10.77.0.100:*", "any 10.77.0.100". `*`, any port, needs the policy `wildcard-sticky`. ' +
          "`any`: every protocol and port of the address that no other service names (ping, ESP, GRE).",
      }),
      {
        default: [],
        maxItems: LIMITS.services,
        description: `Services of the group; ${LIMITS.services} in all groups together.`,
      },
    ),
    health: Type.Optional(Health),
    maintenance: Type.Optional(
      Type.Array(Name("Name of a node in `nodes`."), {
        maxItems: LIMITS.nodes,
        description:
          "Nodes whose instance of this group is out of service. `pan maintenance --group` sets it.",
      }),
    ),
    whenNone: Type.Optional(
      Type.Enum(["reset", "drop", "all", "sorry"], {
        description:
          "What clients meet while no node serves the group (B7). `reset`: TCP RST, ICMP port unreachable. `drop`: nothing. " +
          "`all`: every node that lives serves, whatever its checks say. `sorry`: the node `sorry` serves. Default: `reset`.",
      }),
    ),
    sorry: Type.Optional(
      Name("Name of the node that serves with `whenNone: sorry`, in the group's list or not."),
    ),
    sorryPort: Type.Optional(
      Type.Integer({
        minimum: 1,
        maximum: 65_535,
        description:
          "Port on which the sorry node serves, where it is not the service's. Connections have the service's own address and port all the same.",
      }),
    ),
  },
  { ...closed, description: "Services that share a policy and a distribution table (B1)." },
);

export const ClusterSchema = Type.Object(
  {
    cluster: Cluster,
    detection: Detection,
    applications: Applications,
    datapath: Datapath,
    delivery: Delivery,
    interfaceNodes: Type.Optional(interfaceNodesSchema(LIMITS)),
    peering: Type.Optional(Peering),
    sessions: Type.Optional(Sessions),
    hash: Type.Enum(HASH_KINDS, {
      default: "keyed",
      description:
        "How a flow's slot is computed (A14). `keyed`: nobody outside can choose it. " +
        "`xor`: as published, for tests and for comparing with other implementations.",
    }),
    nodes: Type.Array(Node, {
      default: [],
      maxItems: LIMITS.nodes,
      description: "The machines that are admitted to the cluster.",
    }),
    groups: Type.Array(Group, {
      default: [],
      maxItems: LIMITS.groups,
      description: "The service groups.",
    }),
    vips: Type.Array(Address("An IPv4 or IPv6 address."), {
      default: [],
      maxItems: LIMITS.vips,
      description: "Virtual addresses that the cluster holds without a service for them.",
    }),
    revoked: Type.Array(
      Type.String({
        pattern: "^[0-9a-fA-F]{1,40}$",
        hint: "the hex digits of a serial number, in quotes, as `pan node show` prints them",
        description: "A certificate's serial number in hex, in quotes.",
      }),
      {
        default: [],
        maxItems: LIMITS.revoked,
        description: "Certificates that are no longer accepted (A2). `pan node revoke` adds to it.",
      },
    ),
  },
  { ...closed, description: "One cluster." },
);

export type { PeeringConfig };

/** The file as it is written, with every default filled in; addresses and services are text. */
export type RawConfig = Static<typeof ClusterSchema>;

export type Policy = RawConfig["groups"][number]["policy"];
export type Protocol = "tcp" | "udp" | "any";

/** A service (B1); its shape is the service key of core/steering. The port of protocol "any" is "any". */
export interface Service {
  readonly protocol: Protocol;
  readonly vip: IpAddress;
  readonly port: number | "any";
}

export interface NodeConfig extends NodeDelivery {
  readonly name: string;
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly interface?: string;
  readonly arms?: readonly string[];
  /** More of its own, for peering. */
  readonly addresses?: readonly IpAddress[];
  readonly mac?: MacAddress;
  readonly paths?: readonly string[];
  readonly drained: boolean;
  readonly drainDeadlineMs?: number;
  /** Only where it holds. */
  readonly maintenance?: true;
}

export interface NodeWeight {
  readonly name: string;
  /** 0 … 1000, relative to the other weights of the group. */
  readonly weight: number;
}

export interface GroupConfig {
  readonly name: string;
  readonly policy: Policy;
  /** Power of two, 2 … 65 536. */
  readonly slots: number;
  readonly assignment: Assignment;
  readonly balance: Balance;
  /** 0: UDP sessions are not pinned. */
  readonly udpIdleTimeoutMs: number;
  readonly nodes: "all" | readonly NodeWeight[];
  readonly services: readonly Service[];
  readonly health?: HealthConfig;
  /** Only where there are any. */
  readonly maintenance?: readonly string[];
  /** Absent: reset. */
  readonly whenNone?: "reset" | "drop" | "all" | "sorry";
  readonly sorry?: string;
  readonly sorryPort?: number;
}

/** Only what differs from the default. */
export interface SessionsConfig {
  readonly splitOfTwo: SplitOfTwo;
}

/** A checked configuration: every name resolves, every address is canonical, every limit holds. */
export interface ClusterConfig {
  readonly cluster: {
    readonly name: string;
    readonly port: number;
    readonly interface: string;
    readonly arms?: readonly string[];
    readonly paths?: readonly string[];
    /** "sha256:<64 hex digits>". */
    readonly ca?: string;
  };
  readonly detection: { readonly intervalMs: number; readonly offerMs: number };
  readonly applications: { readonly voteMs: number; readonly unanswered: "accept" | "refuse" };
  readonly datapath: { readonly hook: "auto" | "xdp" | "tc"; readonly slotCapacity: number };
  readonly delivery: { readonly method: DeliveryMethod };
  readonly interfaceNodes?: InterfaceNodesConfig;
  readonly peering?: PeeringConfig;
  readonly sessions?: SessionsConfig;
  readonly hash: HashKind;
  readonly nodes: readonly NodeConfig[];
  readonly groups: readonly GroupConfig[];
  /** Virtual addresses without a service; `virtualAddresses` in config.ts lists all of them. */
  readonly vips: readonly IpAddress[];
  /** Serial numbers, lower-case hex without leading zeros. */
  readonly revoked: readonly string[];
}
