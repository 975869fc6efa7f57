// The configuration's health checks, as they concern this node (B7): the machine's terms (core/health), and what each check does.
import { familyOf, type IpAddress } from "#base/address.ts";
import type { HealthGroup } from "#core/health/health.ts";
import { type CheckConfig, checkName, type HealthConfig } from "#config/health-schema.ts";
import { protocolOf } from "#config/health-rules.ts";
import type { ClusterConfig, GroupConfig, NodeConfig } from "#config/schema.ts";
import { parseStatusCodes } from "#config/status-codes.ts";
import type { Probe } from "#driver/health/probe.ts";
import type { Endpoint } from "#driver/health/tcp-probe.ts";

const LOOPBACK = "127.0.0.1";
const USUAL_STATUS = "200-399";
/** What programs find set; nothing of the agent's own environment. */
const SEARCH_PATH = "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin";

export interface NodeHealth {
  readonly groups: readonly HealthGroup[];
  /** By group and check. */
  readonly probeOf: (group: string, check: string) => Probe | undefined;
}

const DRAIN_OVER = "the deadline of the drain is over";

/**
 * Of the groups that this node may serve. In maintenance nothing is checked. A QUIC connection cannot be closed from outside its server:
 * past the deadline of a drain the node says that it does not serve any (docs/adr/0031).
 */
export function nodeHealth(config: ClusterConfig, self: NodeConfig, isOver = false): NodeHealth {
  const probes = new Map<string, Probe>();
  const groups: HealthGroup[] = [];
  for (const group of config.groups) {
    const { health } = group;
    if (!mayServe(group, self)) continue;
    const over = isOver && group.policy === "quic" ? { over: DRAIN_OVER } : {};
    if (health === undefined) {
      if (over.over === undefined) continue;
      groups.push({ name: group.name, slowStartMs: 0, available: false, checks: [], ...over });
      continue;
    }
    const inMaintenance =
      self.maintenance === true || group.maintenance?.includes(self.name) === true;
    const checks = inMaintenance ? [] : health.checks;
    for (const check of checks) {
      const probe = probeOf(check, { config, group, self });
      if (probe !== undefined) probes.set(keyOf(group.name, checkName(check)), probe);
    }
    groups.push({
      name: group.name,
      slowStartMs: health.slowStartMs,
      available: !inMaintenance && !self.drained,
      ...over,
      checks: checks.map((check) =>
        specOf(check, health, probes.get(keyOf(group.name, checkName(check)))),
      ),
    });
  }
  return { groups, probeOf: (group, check) => probes.get(keyOf(group, check)) };
}

const keyOf = (group: string, check: string): string => `${group} ${check}`;

const mayServe = ({ nodes }: GroupConfig, { name }: NodeConfig): boolean =>
  nodes === "all" || nodes.some((node) => node.name === name && node.weight > 0);

function specOf(
  check: CheckConfig,
  { intervalMs, timeoutMs, rise, fall }: HealthConfig,
  probe: Probe | undefined,
): HealthGroup["checks"][number] {
  const timing = { intervalMs, timeoutMs, rise, fall };
  return { name: checkName(check), ...timing, meaning: JSON.stringify([timing, probe]) };
}

interface Setting {
  readonly config: ClusterConfig;
  readonly group: GroupConfig;
  readonly self: NodeConfig;
}

/** Undefined: there is nothing to ask; the rules of the configuration do not let that happen. */
function probeOf(check: CheckConfig, setting: Setting): Probe | undefined {
  if (check.type === "script") return scriptOf(check, setting);
  const endpoint = endpointOf(check, setting);
  if (endpoint === undefined) return undefined;
  const { path = "/", host, status = USUAL_STATUS, body, verify = true } = check;
  const { send = "", expect } = check;
  switch (check.type) {
    case "tcp":
      return { type: "tcp", ...endpoint };
    case "udp":
      return { type: "udp", ...endpoint, send, ...(expect === undefined ? {} : { expect }) };
    case "http":
    case "https":
      return {
        type: "http",
        ...endpoint,
        path,
        status: parseStatusCodes(status) ?? [],
        ...(host === undefined ? {} : { host }),
        ...(body === undefined ? {} : { body }),
        ...(check.type === "https" ? { tls: { verify } } : {}),
      };
  }
}

function endpointOf(check: CheckConfig, { group, self }: Setting): Endpoint | undefined {
  const protocol = protocolOf(check.type);
  const fitting = group.services.filter((service) => [protocol, "any"].includes(service.protocol));
  const [first] = fitting.flatMap((service) => (service.port === "any" ? [] : [service.port]));
  const port = check.port ?? first;
  const address = addressOf(check.target ?? "vip", fitting[0]?.vip, self);
  if (port === undefined || address === undefined) return undefined;
  // the server's log then shows the node; from its loopback a node can only ask its loopback
  const isLoopback = address.startsWith("127.") || address === "::1";
  const source = isLoopback || address.includes(":") ? {} : { source: self.address };
  return { address, port, ...source };
}

function addressOf(
  target: string,
  vip: IpAddress | undefined,
  { address }: NodeConfig,
): string | undefined {
  switch (target) {
    case "vip":
      return vip;
    case "node":
      return address;
    case "local":
      return vip !== undefined && familyOf(vip) === 6 ? "::1" : LOOPBACK;
    default:
      return target;
  }
}

function scriptOf({ command = [] }: CheckConfig, { config, group, self }: Setting): Probe {
  const environment = {
    PATH: SEARCH_PATH,
    LC_ALL: "C.UTF-8",
    PANOPLY_CLUSTER: config.cluster.name,
    PANOPLY_NODE: self.name,
    PANOPLY_GROUP: group.name,
    PANOPLY_ADDRESS: self.address,
    PANOPLY_SERVICES: group.services
      .map(({ protocol, vip, port }) => `${protocol}/${vip}/${port}`)
      .join(" "),
  };
  return { type: "script", command, environment };
}
