// What no schema can say about health checks and what follows from them (B7): keys that go with the type of a check, names that are
// unique and resolve, something to ask.
import type { Draft, Path, Report } from "./findings.ts";
import { checkName, type CheckType } from "./health-schema.ts";
import { isRouted } from "./policies.ts";
import type { RawConfig } from "./schema.ts";
import { parseService } from "./service.ts";

type DraftConfig = Draft<RawConfig>;
type DraftGroup = NonNullable<NonNullable<DraftConfig["groups"]>[number]>;
type DraftCheck = NonNullable<NonNullable<NonNullable<DraftGroup["health"]>["checks"]>[number]>;

const KEYS: Readonly<Record<CheckType, readonly string[]>> = {
  tcp: ["target", "port"],
  http: ["target", "port", "path", "host", "status", "body"],
  https: ["target", "port", "path", "host", "status", "body", "verify"],
  udp: ["target", "port", "send", "expect"],
  script: ["command"],
};

/** The protocol of the services that a check can ask. */
export const protocolOf = (type: CheckType): "tcp" | "udp" => (type === "udp" ? "udp" : "tcp");

interface Place {
  readonly group: DraftGroup;
  readonly path: Path;
  readonly report: Report;
}

export function drainDeadlines(config: DraftConfig, report: Report): void {
  for (const [n, node] of (config.nodes ?? []).entries()) {
    if (node?.drainDeadlineMs === undefined || node.drained !== false) continue;
    const message = "a deadline is for a node that is drained; set drained: true, or leave it out";
    report({ path: ["nodes", n, "drainDeadlineMs"], message });
  }
}

export function groupHealth(config: DraftConfig, report: Report): void {
  for (const [g, group] of (config.groups ?? []).entries()) {
    if (group === undefined) continue;
    const place: Place = { group, path: ["groups", g], report };
    for (const [c, check] of (group.health?.checks ?? []).entries()) {
      if (check?.type === undefined) continue;
      const path = [...place.path, "health", "checks", c];
      fittingKeys(check, { ...place, path });
      somethingToAsk(check, { ...place, path });
    }
    uniqueChecks(place);
    slowStartIsEager(place);
    whenNobodyServes(config, place);
    knownMaintenance(config, place);
  }
}

function fittingKeys(check: DraftCheck, { path, report }: Place): void {
  const known = KEYS[check.type as CheckType];
  for (const key of Object.keys(check)) {
    if (key === "type" || key === "name" || known.includes(key)) continue;
    const message = `a check of the type ${check.type} has no "${key}"; it has ${known.join(", ")}`;
    report({ path: [...path, key], atKey: true, message });
  }
  const [program] = check.command ?? [];
  if (check.type !== "script") return;
  if (check.command === undefined) {
    report({ path, message: '"command" is missing: the program to run and its arguments' });
  } else if (program !== undefined && !program.startsWith("/")) {
    const message = `"${program}" is not a full path; no shell looks for it, so write it out`;
    report({ path: [...path, "command", 0], message });
  }
}

/** Without a service of the protocol, and without an address and a port, there is nothing to ask. */
function somethingToAsk(check: DraftCheck, { group, path, report }: Place): void {
  const type = check.type as CheckType;
  if (type === "script") return;
  const protocol = protocolOf(type);
  const services = (group.services ?? []).flatMap((text) => {
    const parsed = text === undefined ? undefined : parseService(text);
    const isOne = parsed?.ok === true && [protocol, "any"].includes(parsed.service.protocol);
    return isOne ? [parsed.service] : [];
  });
  const target = check.target ?? "vip";
  if (target === "vip" && services.length === 0) {
    const message = `the group has no ${protocol} service whose address a check could ask; give the check a target and a port`;
    report({ path, message });
  } else if (check.port === undefined && !services.some(({ port }) => port !== "any")) {
    const message = `the group has no ${protocol} service with a port; give the check a port`;
    report({ path, message });
  }
}

function uniqueChecks({ group, path, report }: Place): void {
  const first = new Map<string, Path>();
  for (const [c, check] of (group.health?.checks ?? []).entries()) {
    if (check?.type === undefined) continue;
    const name = checkName({
      ...(check.name === undefined ? {} : { name: check.name }),
      type: check.type,
    });
    const here = [...path, "health", "checks", c];
    const earlier = first.get(name);
    if (earlier === undefined) first.set(name, here);
    else {
      const remedy = "give each check of the group a name of its own";
      report({ path: here, earlier, message: `the check ${name} is there twice; ${remedy}` });
    }
  }
}

/** Slots that wait for a packet go to their home node, whatever part it is to take. */
function slowStartIsEager({ group, path, report }: Place): void {
  if ((group.health?.slowStartMs ?? 0) === 0 || group.assignment !== "lazy") return;
  const message = "slow start does not go with the assignment lazy; set one of the two back";
  report({ path: [...path, "health", "slowStartMs"], message });
}

function whenNobodyServes(config: DraftConfig, { group, path, report }: Place): void {
  const { whenNone, sorry, sorryPort, policy } = group;
  if (isRouted(policy) && whenNone !== undefined) {
    const message = `with the policy ${policy} packets are for no address of the cluster, and nothing answers them; leave whenNone out`;
    report({ path: [...path, "whenNone"], message });
  }
  if (whenNone === "sorry" && sorry === undefined) {
    report({ path, message: '"sorry" is missing: the node that serves while no other does' });
  }
  if (sorryPort !== undefined) portOfSorry(config, { group, path, report });
  if (sorry === undefined) return;
  if (whenNone !== "sorry") {
    const message = "a sorry node counts only with whenNone: sorry; set that, or leave sorry out";
    report({ path: [...path, "sorry"], message });
  }
  requireNode(config, sorry, [...path, "sorry"], report);
}

/** The stack is told which listener a connection is for, at tc; a node that also serves the group itself has two. */
function portOfSorry(config: DraftConfig, { group, path, report }: Place): void {
  const { sorry, nodes = "all", services = [] } = group;
  const say = (message: string): void => report({ path: [...path, "sorryPort"], message });
  if (sorry === undefined) say("sorryPort is the port of the sorry node; name that one, too");
  const listed = nodes === "all" ? config.nodes : nodes;
  if (sorry !== undefined && (listed ?? []).some((node) => node?.name === sorry)) {
    say(`${sorry} serves the group itself, on the service's port; list other nodes, without it`);
  }
  if (services.some((service) => service !== undefined && !/^tcp .*:\d+$/.test(service))) {
    say("sorryPort is for services of TCP with a port; put the others into a group of their own");
  }
  if (config.datapath?.hook !== "tc") {
    say("sorryPort needs the stack's sockets, which XDP does not have; set datapath.hook to tc");
  }
}

function knownMaintenance(config: DraftConfig, { group, path, report }: Place): void {
  for (const [n, name] of (group.maintenance ?? []).entries()) {
    if (name !== undefined) requireNode(config, name, [...path, "maintenance", n], report);
  }
}

function requireNode(config: DraftConfig, name: string, path: Path, report: Report): void {
  if ((config.nodes ?? []).some((node) => node?.name === name)) return;
  report({ path, message: `there is no node "${name}" in nodes` });
}
