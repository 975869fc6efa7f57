// A checked configuration: between its text form and its parsed form, its canonical text and version.
import { createHash } from "node:crypto";
import { type IpAddress, compareIp, ip, mac } from "#base/address.ts";
import { canonicalJson } from "#base/canonical-json.ts";
import { type ConfigVersion, nodeId } from "#base/ids.ts";
import { defaultRewrite } from "#base/peering.ts";
import { serialText } from "#base/serial-number.ts";
import type { InterfaceNodesConfig } from "./interface-nodes-schema.ts";
import { rawHealth } from "./health-schema.ts";
import type {
  ClusterConfig,
  GroupConfig,
  NodeConfig,
  PeeringConfig,
  RawConfig,
  Service,
} from "./schema.ts";
import { formatService, parseService } from "./service.ts";

type Mutable<T> = { -readonly [Key in keyof T]: T[Key] };

function parsed(text: string): Service {
  const result = parseService(text);
  if (!result.ok) throw new RangeError(`Cannot read the service "${text}": ${result.reason}`);
  return result.service;
}

/** What says the same as nothing is left out, so that the version does not depend on it. */
function nodeFrom(raw: RawConfig["nodes"][number]): NodeConfig {
  const { maintenance, addresses, mac: own, delivery = "direct", clampMss, ...node } = raw;
  return {
    ...node,
    ...(delivery === "direct" ? {} : { delivery }),
    ...(clampMss === true ? { clampMss } : {}),
    id: nodeId(node.id),
    address: ip(node.address),
    ...(addresses === undefined ? {} : { addresses: addresses.map(ip) }),
    ...(own === undefined ? {} : { mac: mac(own) }),
    ...(maintenance === true ? { maintenance } : {}),
  };
}

function peeringFrom(
  { sharedMac, ...raw }: NonNullable<RawConfig["peering"]>,
  nodes: readonly NodeConfig[],
): PeeringConfig {
  const primary = ip(raw.primary);
  const chosen = sharedMac === undefined ? {} : { sharedMac: mac(sharedMac) };
  const listed = nodes.flatMap((node) => node.mac ?? []);
  const rewrite = raw.rewrite ?? defaultRewrite({ kind: raw.mac, primary, ...chosen }, listed);
  return { ...raw, primary, ...chosen, rewrite };
}

const interfaceNodesFrom = ({
  nodes,
  preempt,
  ranked,
}: NonNullable<RawConfig["interfaceNodes"]>): InterfaceNodesConfig => ({
  nodes,
  ...(preempt === false ? { preempt } : {}),
  ranked: ranked.map((each) => ({ ...each, vip: ip(each.vip) })),
});

const rawInterfaceNodes = ({
  nodes,
  preempt,
  ranked,
}: InterfaceNodesConfig): NonNullable<RawConfig["interfaceNodes"]> => ({
  nodes: nodes === "all" ? nodes : nodes.map((node) => ({ ...node })),
  ...(preempt === undefined ? {} : { preempt }),
  ranked: ranked.map((each) => ({ vip: each.vip, nodes: [...each.nodes] })),
});

function groupFrom(raw: RawConfig["groups"][number]): GroupConfig {
  const { maintenance = [], whenNone = "reset", ...group } = raw;
  return {
    ...group,
    services: group.services.map(parsed),
    ...(maintenance.length === 0 ? {} : { maintenance }),
    ...(whenNone === "reset" ? {} : { whenNone }),
  };
}

const sessionsFrom = (raw: RawConfig["sessions"]): Pick<ClusterConfig, "sessions"> =>
  raw?.splitOfTwo === "lowest" ? { sessions: { splitOfTwo: raw.splitOfTwo } } : {};

/** Parses what the schema and the rules have accepted. */
export function fromRaw(raw: RawConfig): ClusterConfig {
  const nodes = raw.nodes.map(nodeFrom);
  return {
    cluster: raw.cluster,
    detection: raw.detection,
    applications: raw.applications,
    datapath: raw.datapath,
    delivery: raw.delivery,
    ...(raw.interfaceNodes === undefined
      ? {}
      : { interfaceNodes: interfaceNodesFrom(raw.interfaceNodes) }),
    ...(raw.peering === undefined ? {} : { peering: peeringFrom(raw.peering, nodes) }),
    ...sessionsFrom(raw.sessions),
    hash: raw.hash,
    nodes,
    groups: raw.groups.map(groupFrom),
    vips: raw.vips.map(ip),
    revoked: raw.revoked.map(serialText),
  };
}

const rawGroup = ({ health, maintenance, ...group }: GroupConfig): RawConfig["groups"][number] => ({
  ...group,
  nodes: group.nodes === "all" ? "all" : group.nodes.map((node) => ({ ...node })),
  services: group.services.map(formatService),
  ...(health === undefined ? {} : { health: rawHealth(health) }),
  ...(maintenance === undefined ? {} : { maintenance: [...maintenance] }),
});

/** A copy whose lists of interfaces are its own. */
const withArms = <
  T extends { readonly arms?: readonly string[]; readonly paths?: readonly string[] },
>({
  arms,
  paths,
  ...rest
}: T) => ({
  ...rest,
  ...(arms === undefined ? {} : { arms: [...arms] }),
  ...(paths === undefined ? {} : { paths: [...paths] }),
});

const rawNode = (node: NodeConfig): RawConfig["nodes"][number] => {
  const { addresses, ...rest } = withArms(node);
  return { ...rest, ...(addresses === undefined ? {} : { addresses: [...addresses] }) };
};

/** The text form with every default written out. */
export function toRaw(config: ClusterConfig): RawConfig {
  return {
    cluster: withArms(config.cluster),
    detection: { ...config.detection },
    applications: { ...config.applications },
    datapath: { ...config.datapath },
    delivery: { ...config.delivery },
    ...(config.interfaceNodes === undefined
      ? {}
      : { interfaceNodes: rawInterfaceNodes(config.interfaceNodes) }),
    ...(config.peering === undefined ? {} : { peering: { ...config.peering } }),
    ...(config.sessions === undefined ? {} : { sessions: { ...config.sessions } }),
    hash: config.hash,
    nodes: config.nodes.map(rawNode),
    groups: config.groups.map(rawGroup),
    vips: [...config.vips],
    revoked: [...config.revoked],
  };
}

const byName = (a: { readonly name: string }, b: { readonly name: string }): number =>
  a.name < b.name ? -1 : Number(a.name > b.name);

/**
 * The same text for configurations that mean the same: keys, nodes, groups, services and addresses in
 * a fixed order, defaults written out, no comments (A4). It is also a configuration that
 * `loadConfig` reads.
 */
export function canonicalConfig(config: ClusterConfig): string {
  const raw: Mutable<RawConfig> = toRaw(config);
  raw.nodes = raw.nodes.sort((a, b) => a.id - b.id);
  raw.groups = raw.groups.sort(byName).map((group) => ({
    ...group,
    // with failover the order is the meaning
    nodes:
      group.nodes === "all" || group.policy === "failover" ? group.nodes : group.nodes.sort(byName),
    services: group.health === undefined ? group.services.sort() : group.services,
    ...(group.maintenance === undefined ? {} : { maintenance: group.maintenance.sort() }),
  }));
  raw.vips = [...config.vips].sort(compareIp);
  if (config.interfaceNodes !== undefined) raw.interfaceNodes = inOrder(config.interfaceNodes);
  raw.revoked = raw.revoked.sort();
  return canonicalJson(raw);
}

/** In each list of `ranked` the order is the meaning. */
function inOrder({ nodes, ranked }: InterfaceNodesConfig): ReturnType<typeof rawInterfaceNodes> {
  return rawInterfaceNodes({
    nodes: nodes === "all" ? nodes : [...nodes].sort(byName),
    ranked: [...ranked].sort((a, b) => compareIp(a.vip, b.vip)),
  });
}

/** Interfaces of a node that carry client traffic beside the one that also carries the cluster's (A22). */
export const armsOf = (config: ClusterConfig, node: NodeConfig): readonly string[] =>
  node.arms ?? config.cluster.arms ?? [];

/** Its private interfaces, in the order of their segments (B11). */
export const pathsOf = (config: ClusterConfig, node: NodeConfig): readonly string[] =>
  node.paths ?? config.cluster.paths ?? [];

/** A4: a node whose version differs from the cluster's fetches the configuration and joins again. */
export function configVersion(counter: number, config: ClusterConfig): ConfigVersion {
  const digest = createHash("sha256").update(canonicalConfig(config)).digest("hex").slice(0, 16);
  return { counter, digest };
}

/** Every virtual address, of services and without one, each once, in order. */
export function virtualAddresses(config: ClusterConfig): IpAddress[] {
  const ofServices = config.groups.flatMap((group) => group.services.map(({ vip }) => vip));
  return [...new Set([...ofServices, ...config.vips])].sort(compareIp);
}
