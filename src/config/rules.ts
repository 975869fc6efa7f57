// What no schema can say: names that must resolve, things that must be unique, shares that must fit.
// Each rule looks at what the schema check left over, so one mistake does not hide the next.
import { type IpAddress, parseIp } from "#base/address.ts";
import { serialText } from "#base/serial-number.ts";
import type { Draft, Path, Report } from "./findings.ts";
import { drainDeadlines, groupHealth } from "./health-rules.ts";
import { checkInterfaceNodes } from "./interface-nodes-rules.ts";
import { checkNodeDelivery } from "./node-delivery-rules.ts";
import { checkPeering } from "./peering-rules.ts";
import { isRouted } from "./policies.ts";
import { LIMITS, type RawConfig } from "./schema.ts";
import { parseService } from "./service.ts";
import { suggestion } from "./spelling.ts";
import { unusable } from "./unusable.ts";

export type DraftConfig = Draft<RawConfig>;
type DraftGroup = NonNullable<NonNullable<DraftConfig["groups"]>[number]>;
type Rule = (config: DraftConfig, report: Report) => void;

/** Runs every rule; reports each contradiction at the later of the two places. */
export function checkRules(config: DraftConfig, report: Report): void {
  for (const rule of RULES) rule(config, report);
  checkPeering(config, vipsOf(config), report);
  checkInterfaceNodes(config, vipsOf(config), report);
  checkNodeDelivery(config, report);
}

export interface Placed<T> {
  readonly value: T;
  readonly path: Path;
}

function reportRepeats<T>(items: readonly Placed<T>[], what: string, report: Report): void {
  const first = new Map<T, Path>();
  for (const { value, path } of items) {
    const earlier = first.get(value);
    if (earlier === undefined) first.set(value, path);
    else report({ path, earlier, message: `${what} ${String(value)} is used twice` });
  }
}

/** The field's values of every list entry that has it. */
function column<T>(
  list: readonly (Readonly<Record<string, unknown>> | undefined)[] | undefined,
  base: string,
  field: string,
): Placed<T>[] {
  return (list ?? []).flatMap((entry, index) => {
    const value = entry?.[field];
    return value === undefined ? [] : [{ value: value as T, path: [base, index, field] }];
  });
}

function uniqueNodes(config: DraftConfig, report: Report): void {
  reportRepeats(column<string>(config.nodes, "nodes", "name"), "the node name", report);
  reportRepeats(column<number>(config.nodes, "nodes", "id"), "the node id", report);
  reportRepeats(column<string>(config.nodes, "nodes", "address"), "the node address", report);
}

function uniqueGroups(config: DraftConfig, report: Report): void {
  reportRepeats(column<string>(config.groups, "groups", "name"), "the group name", report);
}

interface PlacedService extends Placed<string> {
  /** Of its group. */
  readonly policy: DraftGroup["policy"];
}

function servicesOf(config: DraftConfig): PlacedService[] {
  return (config.groups ?? []).flatMap((group, g) =>
    (group?.services ?? []).flatMap((value, s) =>
      value === undefined
        ? []
        : [{ value, policy: group?.policy, path: ["groups", g, "services", s] }],
    ),
  );
}

function uniqueServices(config: DraftConfig, report: Report): void {
  const services = servicesOf(config);
  reportRepeats(services, "the service", report);
  if (services.length <= LIMITS.services) return;
  report({
    path: ["groups"],
    message: `${services.length} services in all groups; at most ${LIMITS.services} are allowed`,
  });
}

function anyPortNeedsWildcard(config: DraftConfig, report: Report): void {
  for (const { value, policy, path } of servicesOf(config)) {
    // with failover one node has everything, so that a client's ports are together anyway
    if (policy === undefined || ["wildcard-sticky", "failover"].includes(policy)) continue;
    if (!value.endsWith(":*")) continue;
    const remedy = `give a port, or make the group's policy wildcard-sticky`;
    const message = `any port (*) does not go with the policy ${policy}; ${remedy}`;
    report({ path, message });
  }
}

/** Connection ids are in datagrams. */
function quicIsUdp(config: DraftConfig, report: Report): void {
  for (const { value, policy, path } of servicesOf(config)) {
    if (policy !== "quic" || value.startsWith("udp ")) continue;
    const remedy = "put it into a group of its own, with another policy";
    report({ path, message: `the policy quic is for services of UDP; ${remedy}` });
  }
}

/** A22: whatever comes to a cluster MAC and is for no VIP is one group's, which needs no services for it. */
function routedGroups(config: DraftConfig, report: Report): void {
  const groups = (config.groups ?? []).map((group, g) => ({ group, path: ["groups", g] as Path }));
  const routed = groups.filter(({ group }) => isRouted(group?.policy));
  for (const { group, path } of routed) {
    if ((group?.services ?? []).length === 0) continue;
    const remedy =
      "its traffic is for no virtual address; put the services into a group of their own";
    const message = `a group with the policy ${group?.policy} has no services: ${remedy}`;
    report({ path: [...path, "services"], message });
  }
  const [first, ...more] = routed.map(({ path }) => [...path, "policy"]);
  for (const path of more) {
    const remedy = "remove one of them, or give it another policy";
    report({ path, ...(first && { earlier: first }), message: `two groups are routed; ${remedy}` });
  }
  if (first !== undefined && vipsOf(config).length === 0) {
    const remedy = "name under vips the address that the machines around it have as their gateway";
    const message = `routed traffic comes to the cluster MAC, which is made from a virtual address, and there is none: ${remedy}`;
    report({ path: first, message });
  }
  if (first === undefined || config.delivery?.method !== "forward") return;
  const remedy = "set delivery.method to unicast, multicast or igmp";
  report({ path: first, message: `routed traffic does not go with the method forward; ${remedy}` });
}

/** A held frame is sent on by the cluster's interface, and would come in there although it came by an arm. */
function routedIsEager(config: DraftConfig, report: Report): void {
  for (const [g, group] of (config.groups ?? []).entries()) {
    if (!isRouted(group?.policy) || group?.assignment !== "lazy") continue;
    const remedy = "set it to eager, or leave it out";
    const message = `lazy does not go with the policy ${group.policy}: frames that wait for an owner would go on by another interface; ${remedy}`;
    report({ path: ["groups", g, "assignment"], message });
  }
}

function vipsOf(config: DraftConfig): Placed<IpAddress>[] {
  const ofServices = servicesOf(config).flatMap(({ value, path }) => {
    const parsed = parseService(value);
    return parsed.ok ? [{ value: parsed.service.vip, path }] : [];
  });
  return [...ofServices, ...extraVips(config)];
}

function extraVips(config: DraftConfig): Placed<IpAddress>[] {
  return (config.vips ?? []).flatMap((text, index) => {
    const value = text === undefined ? undefined : parseIp(text);
    return value === undefined ? [] : [{ value, path: ["vips", index] }];
  });
}

function virtualAddresses(config: DraftConfig, report: Report): void {
  const vips = vipsOf(config);
  reportRepeats(extraVips(config), "the virtual address", report);
  const nodes = new Map(
    column<string>(config.nodes, "nodes", "address").map(({ value, path }) => [value, path]),
  );
  for (const { value, path } of vips) {
    const earlier = nodes.get(value);
    if (earlier !== undefined) {
      const remedy = "a virtual address belongs to the cluster; choose one that no machine has";
      report({ path, earlier, message: `${value} is a node's own address; ${remedy}` });
    }
  }
  const count = new Set(vips.map(({ value }) => value)).size;
  if (count > LIMITS.vips) {
    const message = `${count} virtual addresses; at most ${LIMITS.vips} are allowed`;
    report({ path: ["groups"], message });
  }
}

function usableAddresses(config: DraftConfig, report: Report): void {
  for (const { value, path } of [
    ...column<string>(config.nodes, "nodes", "address"),
    ...vipsOf(config),
  ]) {
    const kind = unusable(value);
    if (kind !== undefined) {
      report({ path, message: `${value} is ${kind}; use a unicast address of your network` });
    }
  }
}

/** Nodes talk to each other over IPv4 sockets. */
function ipv4Nodes(config: DraftConfig, report: Report): void {
  for (const { value, path } of column<string>(config.nodes, "nodes", "address")) {
    if (!value.includes(":") || unusable(value) !== undefined) continue;
    const remedy = "give the machine an IPv4 address; virtual addresses may be IPv6";
    report({ path, message: `${value} is IPv6, and nodes reach each other over IPv4: ${remedy}` });
  }
}

function weightsOf(group: DraftGroup, g: number): Placed<{ name: string; weight: number }>[] {
  if (group.nodes === undefined || group.nodes === "all") return [];
  return group.nodes.flatMap((node, n) =>
    node?.name === undefined
      ? []
      : [{ value: { name: node.name, weight: node.weight ?? 1 }, path: ["groups", g, "nodes", n] }],
  );
}

function groupNodes(config: DraftConfig, report: Report): void {
  const known = new Set(column<string>(config.nodes, "nodes", "name").map(({ value }) => value));
  for (const [g, group] of (config.groups ?? []).entries()) {
    if (group === undefined) continue;
    const weights = weightsOf(group, g);
    const names = weights.map(({ value, path }) => ({ value: value.name, path }));
    reportRepeats(names, `group ${group.name ?? g}: the node`, report);
    for (const { value, path } of names.filter(({ value }) => !known.has(value))) {
      const remedy = suggestion(value, known) || " Add it to nodes, or remove it here.";
      report({ path: [...path, "name"], message: `there is no node "${value}".${remedy}` });
    }
  }
}

function possibleWeights(config: DraftConfig, report: Report): void {
  for (const [g, group] of (config.groups ?? []).entries()) {
    if (group?.nodes === undefined || group.slots === undefined) continue;
    const path = ["groups", g, "nodes"];
    const all = group.nodes === "all";
    const serving = all
      ? (config.nodes?.length ?? 0)
      : weightsOf(group, g).filter(({ value }) => value.weight > 0).length;
    if (!all && group.nodes.length > 0 && serving === 0) {
      report({ path, message: "every weight is 0; give at least one node a weight above 0" });
    }
    if (serving > group.slots) {
      const message = `${serving} nodes share ${group.slots} slots; raise slots to at least ${serving}`;
      report({ path, message });
    }
  }
}

function slotsFit(config: DraftConfig, report: Report): void {
  const capacity = config.datapath?.slotCapacity;
  // the kernel packs four slots into a word, and a group begins on a word
  const slots = (config.groups ?? []).reduce(
    (sum, group) => sum + (group?.slots === undefined ? 0 : Math.max(group.slots, 4)),
    0,
  );
  if (capacity === undefined || slots <= capacity) return;
  report({
    path: ["datapath", "slotCapacity"],
    message: `the groups have ${slots} slots, but room is for ${capacity}; raise slotCapacity or use fewer slots`,
  });
}

function uniqueSerials(config: DraftConfig, report: Report): void {
  const serials = (config.revoked ?? []).flatMap((serial, index) =>
    serial === undefined ? [] : [{ value: serialText(serial), path: ["revoked", index] }],
  );
  reportRepeats(serials, "the serial number", report);
}

/** The cluster interface is no arm and no path, and nothing is there twice (A22, B11). */
function distinctInterfaces(config: DraftConfig, report: Report): void {
  const { cluster } = config;
  type Ports = Pick<NonNullable<typeof cluster>, "interface" | "arms" | "paths">;
  const check = (own: Ports, base: Path) => {
    const first = own.interface ?? cluster?.interface;
    const before = new Set(first === undefined ? [] : [first]);
    for (const key of ["arms", "paths"] as const) {
      for (const [index, name] of (own[key] ?? cluster?.[key] ?? []).entries()) {
        if (name === undefined) continue;
        const message = `${name} is used twice; interface, arms and paths are different interfaces`;
        const path = own[key] === undefined ? base : [...base, key, index];
        if (before.has(name)) report({ path, message });
        before.add(name);
      }
    }
    if (before.size - 1 <= LIMITS.arms) return;
    report({
      path: base,
      message: `${before.size - 1} arms and paths; at most ${LIMITS.arms} in all`,
    });
  };
  check(cluster ?? {}, ["cluster"]);
  for (const [n, node] of (config.nodes ?? []).entries()) {
    const isOwn = node !== undefined && ("interface" in node || "arms" in node || "paths" in node);
    if (isOwn) check(node, ["nodes", n]);
  }
}

const RULES: readonly Rule[] = [
  uniqueNodes,
  uniqueGroups,
  groupNodes,
  possibleWeights,
  uniqueServices,
  anyPortNeedsWildcard,
  quicIsUdp,
  routedGroups,
  routedIsEager,
  groupHealth,
  drainDeadlines,
  usableAddresses,
  ipv4Nodes,
  virtualAddresses,
  slotsFit,
  distinctInterfaces,
  uniqueSerials,
];
