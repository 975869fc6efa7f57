// What the agent can be asked, and in which shapes (docs/reference/api.md). The server registers these
// routes, the client calls them, the OpenAPI document lists them; nobody writes a shape twice.
import { type Static, type TObject, type TSchema, Type } from "typebox";
import { LIMITS } from "#config/schema.ts";
import { ApplicationsStatus } from "./applications.ts";
import { EventList, EventQuery } from "./events.ts";
import { Diagnosis, PeersStatus } from "./peers.ts";
import { type Address, ROUTES } from "./routes.ts";
import { DeliveryMethod, Problem, ServiceName } from "./shapes.ts";
import { Status } from "./status.ts";

const ofServices = [
  Type.Literal("weighted"),
  Type.Literal("sticky"),
  Type.Literal("wildcard-sticky"),
  Type.Literal("failover"),
  Type.Literal("quic"),
] as const;
const routed = [Type.Literal("routed"), Type.Literal("routed-symmetric")] as const;

export const Policy = Type.Union([...ofServices, ...routed], { title: "Policy" });

/** A13: how client traffic reaches the members. */
export const Delivery = Type.Object(
  { method: DeliveryMethod },
  { title: "Delivery", additionalProperties: false },
);

/** B10: which node is to answer for a virtual address. */
export const InterfaceNode = Type.Object(
  { node: Type.String({ minLength: 1, maxLength: 63, description: "Name of the node" }) },
  { title: "InterfaceNode", additionalProperties: false },
);

/** B7: how long the connections of a drained node may go on. */
export const DrainWithin = Type.Object(
  { deadlineMs: Type.Integer({ minimum: 0, maximum: LIMITS.drainDeadlineMs }) },
  { title: "DrainWithin", additionalProperties: false },
);

/** B7: out of service, or in service again. */
export const Maintenance = Type.Object(
  {
    on: Type.Boolean(),
    group: Type.Optional(
      Type.String({ minLength: 1, maxLength: 63, description: "Only its instance of this group" }),
    ),
  },
  { title: "Maintenance", additionalProperties: false },
);

/** Which configuration the cluster runs (A4). */
export const ConfigVersion = Type.Object(
  {
    counter: Type.Integer({ minimum: 0 }),
    digest: Type.String({ description: "First eight bytes of its SHA-256, in hex" }),
  },
  { title: "ConfigVersion" },
);
export type ConfigVersion = Static<typeof ConfigVersion>;

/** Answer to every change: the configuration that contains it. */
export const Changed = Type.Object(
  {
    config: ConfigVersion,
    waiting: Type.Array(Type.String(), {
      description: "Settings that a node goes by once its agent has started again",
    }),
  },
  { title: "Changed" },
);
export type Changed = Static<typeof Changed>;

const NodeWeight = Type.Integer({ minimum: 0, maximum: LIMITS.weight });

export const NodeShare = Type.Object(
  { name: Type.String({ description: "Name of the node" }), weight: NodeWeight },
  { title: "NodeShare" },
);

export const ServiceGroup = Type.Object(
  {
    group: Type.String(),
    policy: Policy,
    slots: Type.Integer({ description: "Entries of the distribution table; a power of two" }),
    services: Type.Array(ServiceName),
    nodes: Type.Array(NodeShare, { description: "Nodes that may serve, with their weights" }),
  },
  { title: "ServiceGroup" },
);
export type ServiceGroup = Static<typeof ServiceGroup>;

export const ServiceList = Type.Object(
  { groups: Type.Array(ServiceGroup) },
  { title: "ServiceList" },
);
export type ServiceList = Static<typeof ServiceList>;

/** B8: adds a service to a group; `create` makes the group first where it does not exist. */
export const AddService = Type.Object(
  {
    group: Type.String({ minLength: 1, maxLength: 63 }),
    service: ServiceName,
    create: Type.Optional(
      Type.Object({
        policy: Type.Union([...ofServices], {
          description: "Routed groups have no services; they come with a new configuration",
        }),
        slots: Type.Optional(Type.Integer({ minimum: 2, maximum: LIMITS.slotsPerGroup })),
        nodes: Type.Optional(
          Type.Array(NodeShare, {
            maxItems: LIMITS.nodes,
            description: "Default: every node, weight 1",
          }),
        ),
      }),
    ),
  },
  { title: "AddService", additionalProperties: false },
);
export type AddService = Static<typeof AddService>;

export const RemoveService = Type.Object(
  { service: ServiceName },
  { title: "RemoveService", additionalProperties: false },
);

export const Weight = Type.Object(
  { weight: NodeWeight },
  { title: "Weight", additionalProperties: false },
);

export const Config = Type.Object(
  { version: ConfigVersion, yaml: Type.String() },
  { title: "Config" },
);
export type Config = Static<typeof Config>;

export const NewConfig = Type.Object(
  {
    yaml: Type.String({ maxLength: LIMITS.fileCharacters }),
    force: Type.Optional(
      Type.Boolean({
        description: "Also what would cut members off from each other, by what the master knows",
      }),
    ),
  },
  { title: "NewConfig", additionalProperties: false },
);

export const Version = Type.Object(
  {
    panoply: Type.String({ description: "Version of the running agent" }),
    node: Type.String({ description: "Version of Node.js it runs on" }),
    kernel: Type.String(),
  },
  { title: "Version" },
);
export type Version = Static<typeof Version>;

/** One operation. Every failure is a Problem; the status code follows its `code` (problem.ts). */
export interface Route extends Address {
  readonly summary: string;
  readonly params?: TObject;
  readonly query?: TObject;
  readonly body?: TObject;
  readonly reply: TSchema;
}

const Name = Type.String({ minLength: 1, maxLength: 63 });
const GroupNode = Type.Object({ group: Name, node: Name });
const NodeName = Type.Object({ node: Name });
const VirtualAddress = Type.Object({ vip: Type.String({ minLength: 2, maxLength: 45 }) });

export const CONTRACT = {
  status: {
    ...ROUTES.status,
    summary: "What this node knows of itself, its cluster and its traffic",
    reply: Status,
  },
  applications: {
    ...ROUTES.applications,
    summary:
      "Programs and scripts on this machine that are told what happens, and asked about joins",
    reply: ApplicationsStatus,
  },
  peers: {
    ...ROUTES.peers,
    summary: "The other members as this node reaches them, where all share one MAC",
    reply: PeersStatus,
  },
  doctor: {
    ...ROUTES.doctor,
    summary:
      "What of this host and its network is not as the cluster needs it, and what to do; takes a second",
    reply: Diagnosis,
  },
  services: {
    ...ROUTES.services,
    summary: "Service groups as configured",
    reply: ServiceList,
  },
  addService: {
    ...ROUTES.addService,
    summary: "Add a service to a group, creating the group if asked",
    body: AddService,
    reply: Changed,
  },
  removeService: {
    ...ROUTES.removeService,
    summary: "Remove a service; a group without services goes with its last one",
    body: RemoveService,
    reply: Changed,
  },
  setWeight: {
    ...ROUTES.setWeight,
    summary: "Set a node's weight in a group; established connections stay where they are",
    params: GroupNode,
    body: Weight,
    reply: Changed,
  },
  drain: {
    ...ROUTES.drain,
    summary: "Give a node no new connections; established ones finish there",
    params: NodeName,
    reply: Changed,
  },
  drainWithin: {
    ...ROUTES.drainWithin,
    summary: "Give a node no new connections, and close after a time those that have not finished",
    params: NodeName,
    body: DrainWithin,
    reply: Changed,
  },
  undrain: {
    ...ROUTES.undrain,
    summary: "Give a drained node its share again",
    params: NodeName,
    reply: Changed,
  },
  setMaintenance: {
    ...ROUTES.setMaintenance,
    summary:
      "Take a node, or its instance of one group, out of service or back; established connections go on",
    params: NodeName,
    body: Maintenance,
    reply: Changed,
  },
  setDelivery: {
    ...ROUTES.setDelivery,
    summary: "Change how client traffic reaches the members; connections go on",
    body: Delivery,
    reply: Changed,
  },
  moveVip: {
    ...ROUTES.moveVip,
    summary:
      "Move a virtual address to an interface node, the first of its list from now on; connections go on",
    params: VirtualAddress,
    body: InterfaceNode,
    reply: Changed,
  },
  releaseVip: {
    ...ROUTES.releaseVip,
    summary: "Spread a virtual address with the others again; connections go on",
    params: VirtualAddress,
    reply: Changed,
  },
  events: {
    ...ROUTES.events,
    summary:
      "What happened on this node and what it knows of the others, with causes ([events.md](events.md))",
    query: EventQuery,
    reply: EventList,
  },
  config: {
    ...ROUTES.config,
    summary: "The cluster configuration as YAML, with its version",
    reply: Config,
  },
  putConfig: {
    ...ROUTES.putConfig,
    summary: "Replace the cluster configuration: checked first, then all of it or nothing",
    body: NewConfig,
    reply: Changed,
  },
  version: {
    ...ROUTES.version,
    summary: "Versions of the running agent",
    reply: Version,
  },
} as const satisfies Record<keyof typeof ROUTES, Route>;

export type Contract = typeof CONTRACT;
export type Operation = keyof Contract;

type Part<R, K extends string> = R extends { readonly [P in K]: infer S extends TSchema }
  ? { readonly [P in K]: Static<S> }
  : unknown;
/** `{params, query, body}`, each where the route has one. */
export type Input<K extends Operation> = Part<Contract[K], "params"> &
  Part<Contract[K], "query"> &
  Part<Contract[K], "body">;
export type Output<K extends Operation> = Static<Contract[K]["reply"]>;

export { Problem, ServiceName, Status };
