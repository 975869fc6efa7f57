// Changes of a configuration at run time (B8), as functions from one configuration to the next. Every
// result passes the same checks as a file, so that no command can make what no file may say.
import type { IpAddress } from "#base/address.ts";
import type { DeliveryMethod } from "#base/delivery.ts";
import { PanError } from "#base/error-codes.ts";
import { MAX_NODE_ID, type NodeId, nodeId } from "#base/ids.ts";
import { serialText } from "#base/serial-number.ts";
import { fromRaw, toRaw, virtualAddresses } from "./config.ts";
import { showPath } from "./findings.ts";
import { checkConfig, messageOf } from "./load.ts";
import type { ClusterConfig, GroupConfig, NodeConfig, NodeWeight, Service } from "./schema.ts";
import { formatService } from "./service.ts";
import { suggestion } from "./spelling.ts";

/** The configuration if it is valid; PAN_CONFLICT with every reason if not. */
function settled(config: ClusterConfig): ClusterConfig {
  const checked = checkConfig(toRaw(config));
  if (checked.ok) return fromRaw(checked.raw);
  const reasons = checked.findings.map(
    (finding) => `${showPath(finding.path)}: ${messageOf(finding, showPath)}`,
  );
  throw new PanError("PAN_CONFLICT", `The change was refused. ${reasons.join("; ")}`);
}

function notFound(what: string, name: string, known: readonly string[]): PanError {
  const remedy = suggestion(name, known) || ` Known: ${known.join(", ") || "none"}.`;
  return new PanError("PAN_NOT_FOUND", `There is no ${what} "${name}".${remedy}`);
}

function requireNode(config: ClusterConfig, name: string): NodeConfig {
  const node = config.nodes.find((candidate) => candidate.name === name);
  if (node === undefined) {
    throw notFound(
      "node",
      name,
      config.nodes.map((candidate) => candidate.name),
    );
  }
  return node;
}

function changeGroup(
  config: ClusterConfig,
  name: string,
  change: (group: GroupConfig) => GroupConfig,
): ClusterConfig {
  if (!config.groups.some((group) => group.name === name)) {
    throw notFound(
      "service group",
      name,
      config.groups.map((group) => group.name),
    );
  }
  const groups = config.groups.map((group) => (group.name === name ? change(group) : group));
  return settled({ ...config, groups });
}

/** B8. PAN_CONFLICT when a group of this name exists. */
export const addGroup = (config: ClusterConfig, group: GroupConfig): ClusterConfig =>
  settled({ ...config, groups: [...config.groups, group] });

/** B8. PAN_NOT_FOUND when the group does not exist. */
export function removeGroup(config: ClusterConfig, name: string): ClusterConfig {
  const changed = changeGroup(config, name, (group) => group);
  return { ...changed, groups: changed.groups.filter((group) => group.name !== name) };
}

/** B8. PAN_CONFLICT when a group already has the service, or when the group's policy forbids it. */
export const addService = (config: ClusterConfig, group: string, service: Service): ClusterConfig =>
  changeGroup(config, group, (found) => ({ ...found, services: [...found.services, service] }));

/** B8. A service is in one group only, so the group need not be named. */
export function removeService(config: ClusterConfig, service: Service): ClusterConfig {
  const text = formatService(service);
  const owner = config.groups.find((group) => group.services.map(formatService).includes(text));
  if (owner === undefined) {
    const known = config.groups.flatMap((group) => group.services.map(formatService));
    throw notFound("service", text, known);
  }
  return changeGroup(config, owner.name, (group) => ({
    ...group,
    services: group.services.filter((other) => formatService(other) !== text),
  }));
}

/** B3. In a group of all nodes the others keep weight 1, and the group lists its nodes from now on. */
export function setWeight(
  config: ClusterConfig,
  group: string,
  node: string,
  weight: number,
): ClusterConfig {
  requireNode(config, node);
  return changeGroup(config, group, (found) => {
    const listed: readonly NodeWeight[] =
      found.nodes === "all" ? config.nodes.map(({ name }) => ({ name, weight: 1 })) : found.nodes;
    const present = listed.some(({ name }) => name === node);
    const nodes = present ? listed : [...listed, { name: node, weight }];
    return {
      ...found,
      nodes: nodes.map((entry) => (entry.name === node ? { ...entry, weight } : entry)),
    };
  });
}

/** B7. A drained node keeps its established connections, or keeps them until a deadline, and gets no new ones. */
export function setDrained(
  config: ClusterConfig,
  node: string,
  drained: boolean,
  drainDeadlineMs?: number,
): ClusterConfig {
  requireNode(config, node);
  const deadline = drainDeadlineMs === undefined ? {} : { drainDeadlineMs };
  const nodes = config.nodes.map((found) => {
    if (found.name !== node) return found;
    const { drainDeadlineMs: _former, ...rest } = found;
    return { ...rest, drained, ...deadline };
  });
  return settled({ ...config, nodes });
}

/** B7. Out of service, for the whole node or for its instance of one group; drained, but for the checks. */
export function setMaintenance(
  config: ClusterConfig,
  node: string,
  { on, group }: { readonly on: boolean; readonly group?: string | undefined },
): ClusterConfig {
  requireNode(config, node);
  if (group !== undefined) {
    return changeGroup(config, group, ({ maintenance = [], ...found }) => {
      const others = maintenance.filter((name) => name !== node);
      const names = on ? [...others, node] : others;
      return names.length === 0 ? found : { ...found, maintenance: names };
    });
  }
  const nodes = config.nodes.map(({ maintenance = false, ...found }) => {
    const isOn = found.name === node ? on : maintenance;
    return isOn ? { ...found, maintenance: true as const } : found;
  });
  return settled({ ...config, nodes });
}

/** A13. PAN_CONFLICT when a group needs another method than the one asked for. */
export const setDelivery = (config: ClusterConfig, method: DeliveryMethod): ClusterConfig =>
  settled({ ...config, delivery: { ...config.delivery, method } });

/** B10. The node is the first of the address's list from now on. PAN_CONFLICT where the master is the interface node of all. */
export function moveVip(config: ClusterConfig, vip: IpAddress, node: string): ClusterConfig {
  requireNode(config, node);
  const { ranked, ...rest } = requireSpread(config, vip);
  const list = ranked.find((each) => each.vip === vip)?.nodes ?? [];
  const others = ranked.filter((each) => each.vip !== vip);
  const moved = { vip, nodes: [node, ...list.filter((name) => name !== node)] };
  return settled({ ...config, interfaceNodes: { ...rest, ranked: [...others, moved] } });
}

/** B10. The address is spread with the others again. */
export function releaseVip(config: ClusterConfig, vip: IpAddress): ClusterConfig {
  const { ranked, ...rest } = requireSpread(config, vip);
  const others = ranked.filter((each) => each.vip !== vip);
  return settled({ ...config, interfaceNodes: { ...rest, ranked: others } });
}

function requireSpread(
  config: ClusterConfig,
  vip: IpAddress,
): NonNullable<ClusterConfig["interfaceNodes"]> {
  const vips = virtualAddresses(config);
  if (!vips.includes(vip)) throw notFound("virtual address", vip, vips);
  if (config.interfaceNodes !== undefined) return config.interfaceNodes;
  throw new PanError(
    "PAN_CONFLICT",
    "The master is the interface node of all virtual addresses: add the section interfaceNodes to the configuration to spread them.",
  );
}

/** The lowest id that no node has. PAN_CONFLICT when all 4095 are taken. */
export function nextNodeId(config: ClusterConfig): NodeId {
  const taken = new Set<number>(config.nodes.map(({ id }) => id));
  for (let id = 1; id <= MAX_NODE_ID; id++) if (!taken.has(id)) return nodeId(id);
  throw new PanError("PAN_CONFLICT", `All ${MAX_NODE_ID} node ids are taken; remove a node first.`);
}

export interface NewNode {
  readonly name: string;
  readonly address: IpAddress;
  /** The next free one when missing. */
  readonly id?: NodeId;
  readonly interface?: string;
  /** Absent: direct. */
  readonly delivery?: NonNullable<NodeConfig["delivery"]>;
}

/** Admits a node (A2). PAN_NODE_EXISTS when its name, id or address is taken. */
export function addNode(config: ClusterConfig, node: NewNode): ClusterConfig {
  const id = node.id ?? nextNodeId(config);
  const taken = config.nodes.find(
    (other) => other.name === node.name || other.id === id || other.address === node.address,
  );
  if (taken !== undefined) {
    const present = `${taken.name} (id ${taken.id}, address ${taken.address})`;
    throw new PanError(
      "PAN_NODE_EXISTS",
      `The cluster already has ${present}; choose another name, id and address, or renew its bundle.`,
    );
  }
  return settled({ ...config, nodes: [...config.nodes, { ...node, id, drained: false }] });
}

/** A2. Revoking twice is the same as once. */
export function revoke(config: ClusterConfig, serial: string): ClusterConfig {
  const text = serialText(serial);
  if (config.revoked.includes(text)) return config;
  return settled({ ...config, revoked: [...config.revoked, text] });
}

/** Pins the CA (A19): nodes refuse bundles of any other. PAN_CONFLICT when another one is pinned. */
export function pinCa(config: ClusterConfig, fingerprint: string): ClusterConfig {
  const present = config.cluster.ca;
  if (present !== undefined && present !== fingerprint) {
    throw new PanError(
      "PAN_CONFLICT",
      `The configuration names the CA ${present}, but this one is ${fingerprint}; use the CA of this cluster.`,
    );
  }
  return settled({ ...config, cluster: { ...config.cluster, ca: fingerprint } });
}
