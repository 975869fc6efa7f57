// From what an importer has read to a configuration of ours, as text with comments that say where each part comes from. Real servers become
// nodes; virtual servers that are served by the same nodes in the same way become one group. The load balancer itself is no part of it:
// in a cluster the nodes share the addresses among themselves.
import { compareIp, familyOf, type IpAddress } from "#base/address.ts";
import { MAX_NODE_ID } from "#base/ids.ts";
import { HEALTH_LIMITS } from "../health-schema.ts";
import { LIMITS, type Policy } from "../schema.ts";
import { unusable } from "../unusable.ts";
import { formatService } from "../service.ts";
import type {
  Address,
  Check,
  Health,
  Imported,
  Note,
  Place,
  RealServer,
  VirtualServer,
} from "./model.ts";
import { sortNotes } from "./model.ts";
import { lookUp } from "./words.ts";

/** A node that the operator names: its dedicated IPv4 address, and others by which the file knows it. */
export interface NamedNode {
  readonly name: string;
  readonly address: IpAddress;
  readonly others: readonly IpAddress[];
}

export interface ComposeOptions {
  readonly clusterName: string;
  /** Instead of what the file says. */
  readonly interface?: string;
  readonly nodes: readonly NamedNode[];
  /** Said in the first line, such as "keepalived.conf". */
  readonly source: string;
}

export interface Composed {
  readonly yaml: string;
  readonly notes: readonly Note[];
}

interface Group {
  readonly policy: Policy;
  readonly balance: "weights" | "packets";
  readonly shares: ReadonlyMap<string, number>;
  readonly health?: Health;
  /** Name of the node. */
  readonly sorry?: string;
  readonly sorryPort?: number;
  readonly services: string[];
  readonly places: Place[];
  /** Of the first service: names the group. */
  readonly first: string;
}

const DEFAULT_INTERFACE = "eth0";
const MANY_GROUPS = 256;
/** Where there are many groups: so that they fit into the packet program's usual capacity. */
const FEW_SLOTS = 256;
const USUAL_SLOTS = 1024;

export function compose(imported: Imported, options: ComposeOptions): Composed {
  return new Composer(options).compose(imported);
}

class Composer {
  readonly #options: ComposeOptions;
  readonly #notes: Note[] = [];
  /** By address, of each node all of them. */
  readonly #nodes = new Map<IpAddress, NamedNode>();
  readonly #groups = new Map<string, Group>();
  readonly #services = new Set<string>();
  /** Virtual addresses that have a service. */
  readonly #served = new Set<IpAddress>();

  constructor(options: ComposeOptions) {
    this.#options = options;
    for (const node of options.nodes) {
      for (const address of [node.address, ...node.others]) this.#nodes.set(address, node);
    }
  }

  compose(imported: Imported): Composed {
    this.#findNodes(imported);
    for (const server of imported.servers) this.#server(server);
    const vips = new Set<IpAddress>();
    for (const address of imported.vips) {
      if (!this.#served.has(address.vip) && this.#isUsable(address)) vips.add(address.vip);
    }
    return {
      yaml: this.#yaml(imported, [...vips].sort(compareIp)),
      notes: sortNotes([...imported.notes, ...this.#notes]),
    };
  }

  #note(kind: Note["kind"], { file, line }: Place, text: string): void {
    this.#notes.push({ file, line, kind, text });
  }

  /** Every IPv4 real server that nobody named is a node of its own. */
  #findNodes({ servers }: Imported): void {
    const names = new Set(this.#options.nodes.map(({ name }) => name));
    let number = 0;
    const reals = servers.flatMap((server) =>
      server.sorry === undefined ? server.reals : [...server.reals, server.sorry],
    );
    for (const real of reals) {
      const { address } = real;
      if (this.#nodes.has(address) || familyOf(address) === 6) continue;
      if (unusable(address) !== undefined) continue; // said where it is used
      if (names.size === MAX_NODE_ID) {
        const text = `real server ${address} would be node ${MAX_NODE_ID + 1}; no cluster has more than ${MAX_NODE_ID}`;
        return this.#note("wrong", real, text);
      }
      do number += 1;
      while (names.has(`n${number}`));
      names.add(`n${number}`);
      this.#nodes.set(address, { name: `n${number}`, address, others: [] });
    }
  }

  get #distinct(): NamedNode[] {
    return [...new Set(this.#nodes.values())];
  }

  #server(server: VirtualServer): void {
    const { policy, balance } = this.#policyOf(server);
    const shares = this.#sharesOf(server);
    if (![...shares.values()].some((weight) => weight > 0)) {
      const why =
        shares.size === 0
          ? "no real server of it is a node; see the lines of its real servers"
          : "every weight is 0; give a real server one";
      return this.#note("dropped", server, `the virtual server: ${why}`);
    }
    const services = this.#servicesOf(server, policy);
    const [first] = services;
    if (first === undefined) return;
    const more = { ...this.#healthOf(server), ...this.#sorryOf(server, shares) };
    const key = JSON.stringify([policy, balance, more, [...shares].map(String).sort()]);
    const { file, line } = server;
    const group = this.#groups.get(key);
    if (group !== undefined) {
      group.services.push(...services);
      group.places.push({ file, line });
    } else if (this.#groups.size < LIMITS.groups) {
      this.#groups.set(key, {
        policy,
        balance,
        shares,
        ...more,
        services,
        places: [server],
        first,
      });
    } else {
      const remedy = "give more of them the same real servers, weights and scheduler";
      this.#note("wrong", server, `this would be group ${LIMITS.groups + 1}; ${remedy}`);
    }
  }

  /** Every check has its port: services of other ports may come to be in the same group. */
  #healthOf(server: VirtualServer): Pick<Group, "health"> {
    const { health, targets, protocol } = server;
    if (health === undefined) return {};
    const port = targets.find((target) => target.port !== "any")?.port;
    const checks = health.checks.map((check) => {
      if (check.type === "script") return check;
      const own = check.port ?? (port === "any" ? undefined : port);
      const isOther = (check.type === "udp") !== (protocol === "udp");
      return { ...check, ...(own === undefined ? {} : { port: own }), ...(isOther ? LOCAL : {}) };
    });
    const askable = checks.filter((check) => check.type === "script" || check.port !== undefined);
    if (askable.length < checks.length) {
      this.#note("dropped", server, "a check of every port: it needs one to ask (connect_port)");
    }
    const most = HEALTH_LIMITS.checksPerGroup;
    if (askable.length > most) {
      this.#note(
        "dropped",
        server,
        `${askable.length} checks: the first ${most} count; let a script do more`,
      );
    }
    return askable.length === 0 ? {} : { health: { ...health, checks: named(askable) } };
  }

  #sorryOf(
    { sorry, targets, protocol }: VirtualServer,
    shares: ReadonlyMap<string, number>,
  ): Pick<Group, "sorry" | "sorryPort"> {
    const node = sorry === undefined ? undefined : this.#nodeOf(sorry);
    if (sorry === undefined || node === undefined) return {};
    const say = (text: string): void =>
      this.#note("differs", sorry, `sorry server ${sorry.address}: ${text}`);
    say("it is a node of the cluster, with an agent");
    const isSame = targets.every(({ port }) => port === sorry.port);
    if (isSame) return { sorry: node.name };
    const isTcp = protocol === "tcp" && targets.every(({ port }) => port !== "any");
    if (isTcp && !shares.has(node.name)) {
      say(
        `its port ${sorry.port} needs \`datapath: { hook: tc }\`, which is in the configuration; no node uses XDP then`,
      );
      return { sorry: node.name, sorryPort: sorry.port };
    }
    say(
      isTcp
        ? "it is a real server, too, and one node has one port; it serves the service's"
        : "another port goes with TCP and a port only; it serves the service's",
    );
    return { sorry: node.name };
  }

  #policyOf(server: VirtualServer): Pick<Group, "policy" | "balance"> {
    const { scheduler, schedulerFlags, persistent, targets } = server;
    const anyPort = targets.some(({ port }) => port === "any");
    const found = lookUp(SCHEDULERS, scheduler);
    const bySource =
      found?.sticky === true && !schedulerFlags.some((flag) => /^(sh|mh)-port$/.test(flag));
    const says = found === undefined ? UNKNOWN_SCHEDULER : found.says;
    if (says !== undefined) this.#note("differs", server, `scheduler ${scheduler}: ${says}`);
    if (anyPort && !persistent && !bySource) {
      this.#note(
        "differs",
        server,
        "port 0: a client keeps its node over all ports of the address (wildcard-sticky)",
      );
    }
    const policy = anyPort ? "wildcard-sticky" : persistent || bySource ? "sticky" : "weighted";
    return { policy, balance: found?.measured === true ? "packets" : "weights" };
  }

  #sharesOf(server: VirtualServer): Map<string, number> {
    const largest = server.reals.reduce((most, { weight }) => Math.max(most, weight), 0);
    const isScaled = largest > LIMITS.weight;
    if (isScaled) {
      this.#note("differs", server, `weights above ${LIMITS.weight} are scaled down in proportion`);
    }
    const shares = new Map<string, number>();
    for (const real of server.reals) {
      const node = this.#nodeOf(real);
      if (node === undefined) continue;
      if (shares.has(node.name)) {
        this.#note(
          "dropped",
          real,
          `${real.address} serves the same virtual server twice; a node serves once`,
        );
        continue;
      }
      const scaled = isScaled ? (real.weight * LIMITS.weight) / largest : real.weight;
      shares.set(node.name, real.weight === 0 ? 0 : Math.max(1, Math.round(scaled)));
      this.#noteReal(server, real);
    }
    return shares;
  }

  #nodeOf(real: RealServer): NamedNode | undefined {
    const node = this.#nodes.get(real.address);
    if (node !== undefined) return node;
    const kind = unusable(real.address);
    const why = isLocal(real.address)
      ? `the load balancer itself; give its own address with --node NAME=ADDRESS,${real.address}`
      : kind === undefined
        ? `a node is known by its IPv4 address; say which one it is with --node NAME=IPV4,${real.address}`
        : `it is ${kind}; give an address of your network`;
    const text = `real server ${real.address}: ${why}`;
    this.#note("dropped", real, text);
    return undefined;
  }

  #noteReal({ targets }: VirtualServer, real: RealServer): void {
    const other = targets.find(
      ({ port }) => port !== "any" && real.port !== 0 && port !== real.port,
    );
    if (other !== undefined) {
      this.#note(
        "differs",
        real,
        `port ${real.port}: packets are not rewritten and arrive at port ${other.port}; let the server listen there`,
      );
    }
    if (real.forwarding === "masquerade") {
      this.#note(
        "differs",
        real,
        "masquerading: the node has the virtual address itself and answers clients directly; let the server listen on it, or on all addresses",
      );
    }
    if (real.forwarding === "tunnel") {
      this.#note(
        "differs",
        real,
        "tunnel: on the segment of the virtual addresses nothing is needed; give a node behind a router `delivery: ipip` in `nodes` (docs/howto/beyond-the-segment.md)",
      );
    }
  }

  #servicesOf(server: VirtualServer, policy: Policy): string[] {
    const services: string[] = [];
    for (const { vip, port } of server.targets) {
      if (!this.#isUsable({ ...server, vip })) continue;
      const isWild = policy === "wildcard-sticky";
      const text = formatService({ protocol: server.protocol, vip, port: isWild ? "any" : port });
      if (this.#services.has(text)) {
        this.#note("dropped", server, `${text} is a service already; the first one counts`);
        continue;
      }
      this.#services.add(text);
      this.#served.add(vip);
      services.push(text);
    }
    return services;
  }

  /** As a virtual address. */
  #isUsable({ vip, ...place }: Address): boolean {
    const kind = unusable(vip);
    if (kind === undefined && !this.#nodes.has(vip)) return true;
    const what = kind === undefined ? "also a real server's address" : kind;
    this.#note("dropped", place, `${vip} is ${what}; give the cluster an address of its own`);
    return false;
  }

  #yaml(imported: Imported, vips: readonly IpAddress[]): string {
    const { clusterName, source } = this.#options;
    const nodes = this.#distinct;
    const groups = [...this.#groups.values()];
    return [
      `# Imported from ${printable(source)} by \`pan import\`; its messages say what has no counterpart here.`,
      "cluster:",
      `  name: ${clusterName}`,
      ...this.#interfaceLines(imported),
      nodes.length === 0 ? "nodes: []" : "nodes:",
      ...nodes.map(
        ({ name, address }, index) =>
          `  - { name: ${name}, id: ${index + 1}, address: ${address} }`,
      ),
      groups.length === 0 ? "groups: []" : "groups:",
      ...this.#groupLines(groups),
      // the stack is told which listener a connection is for, where there are sockets
      ...(groups.some(({ sorryPort }) => sorryPort !== undefined)
        ? ["datapath: { hook: tc }"]
        : []),
      ...(vips.length === 0 ? [] : ["vips:", ...vips.map((vip) => `  - "${vip}"`)]),
      "",
    ].join("\n");
  }

  #interfaceLines(imported: Imported): string[] {
    const known = this.#options.interface ?? imported.interface;
    if (known !== undefined) return [`  interface: ${JSON.stringify(known)}`];
    return [
      "  # not in the file: the interface of the nodes that has the clients' traffic; --interface sets it",
      `  interface: ${DEFAULT_INTERFACE}`,
    ];
  }

  #groupLines(groups: readonly Group[]): string[] {
    const usual = groups.length > MANY_GROUPS ? FEW_SLOTS : USUAL_SLOTS;
    const names = new Set<string>();
    return groups.flatMap(
      ({ policy, balance, shares, health, services, places, first, ...rest }) => [
        `  # ${places
          .slice(0, 8)
          .map(({ file, line }) => `${printable(file)}:${line}`)
          .join(", ")}${places.length > 8 ? " …" : ""}`,
        `  - name: ${freeName(nameFor(first), names)}`,
        `    policy: ${policy}`,
        ...(balance === "weights" ? [] : [`    balance: ${balance}`]),
        ...slotLines(usual, shares.size),
        "    nodes:",
        ...[...shares].map(([name, weight]) => `      - { name: ${name}, weight: ${weight} }`),
        ...(health === undefined ? [] : [`    health: ${JSON.stringify(health)}`]),
        ...sorryLines(rest),
        "    services:",
        ...services.map((service) => `      - "${service}"`),
      ],
    );
  }
}

const sorryLines = ({ sorry, sorryPort }: Pick<Group, "sorry" | "sorryPort">): string[] =>
  sorry === undefined
    ? []
    : [
        "    whenNone: sorry",
        `    sorry: ${sorry}`,
        ...(sorryPort === undefined ? [] : [`    sorryPort: ${sorryPort}`]),
      ];

/** Asked where the group has no service of the check's protocol. */
const LOCAL = { target: "local" } as const;

/** As many as a group may have, each with a name of its own. */
function named(checks: readonly Check[]): (Check & { readonly name: string })[] {
  const seen = new Map<string, number>();
  return checks.slice(0, HEALTH_LIMITS.checksPerGroup).map((check) => {
    const number = (seen.get(check.type) ?? 0) + 1;
    seen.set(check.type, number);
    return { name: number === 1 ? check.type : `${check.type}-${number}`, ...check };
  });
}

/** Every node has at least a few slots. */
function slotLines(usual: number, nodes: number): string[] {
  const slots = 2 ** Math.ceil(Math.log2(Math.max(usual, nodes * 4)));
  return slots === USUAL_SLOTS ? [] : [`    slots: ${slots}`];
}

const isLocal = (address: IpAddress): boolean => address.startsWith("127.") || address === "::1";

/** A file's name in a comment stays in its line. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, "·");

interface Scheduler {
  /** By source address. */
  readonly sticky?: true;
  readonly measured?: true;
  /** In what it differs from the policy that takes its place. */
  readonly says?: string;
}

const BY_HASH =
  "a hash of the client's address, and of its port unless clients persist, chooses the node, in the ratio of the weights";
const MEASURED =
  "`balance: packets` evens out the measured load every 2 s; connections are not counted one by one";

const SCHEDULERS: Readonly<Record<string, Scheduler>> = {
  rr: { says: BY_HASH },
  wrr: { says: BY_HASH },
  lc: { measured: true, says: MEASURED },
  wlc: { measured: true, says: MEASURED },
  sed: { measured: true, says: MEASURED },
  nq: { measured: true, says: MEASURED },
  sh: { sticky: true },
  mh: { sticky: true },
  dh: { says: `destinations are not hashed; ${BY_HASH}` },
  lblc: { says: `there is no locality of destinations; ${BY_HASH}` },
  lblcr: { says: `there is no locality of destinations; ${BY_HASH}` },
  fo: { says: `the nodes share the load instead of standing by; ${BY_HASH}` },
  ovf: { says: `the nodes share the load instead of overflowing; ${BY_HASH}` },
};
const UNKNOWN_SCHEDULER = `not known here; ${BY_HASH}`;

const KNOWN_PORTS: Readonly<Record<string, string>> = {
  "21": "ftp",
  "22": "ssh",
  "25": "smtp",
  "53": "dns",
  "80": "http",
  "443": "https",
  "3306": "mysql",
  "5432": "postgresql",
};

/** "tcp 10.0.0.100:80" is http, "udp 10.0.0.100:5000" is udp-5000. */
function nameFor(service: string): string {
  const [protocol = "any"] = service.split(" ");
  const port = /:(\d+)$/.exec(service)?.[1];
  if (port === undefined) return `${protocol}-all`;
  return lookUp(KNOWN_PORTS, port) ?? `${protocol}-${port}`;
}

function freeName(wanted: string, taken: Set<string>): string {
  let name = wanted;
  for (let number = 2; taken.has(name); number++) name = `${wanted}-${number}`;
  taken.add(name);
  return name;
}
