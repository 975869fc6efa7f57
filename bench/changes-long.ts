// Thousands of connections that live on while an operator changes the cluster again and again (B4): weights, drained nodes, nodes
// that are taken out of the configuration and put back. None of them may break.
import { rmSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { pause } from "./failover-client.ts";
import { ECHO_PORT, EchoConnections, echoServer, type Findings } from "./failover-connections.ts";
import { MemberAgent } from "./failover-member-agent.ts";

export interface LongOptions {
  readonly name: string;
  readonly connections: number;
  /** Each says something so often. */
  readonly sayEveryMs: number;
  readonly changes: number;
  /** From the beginning of one to that of the next, at least. */
  readonly everyMs: number;
  /** Changes go on until then, however many there have been. */
  readonly leastMs?: number;
  readonly method?: "forward" | "multicast";
  /** Several VIPs, spread over the members, which move as well (B10). */
  readonly spread?: boolean;
  readonly say: (line: string) => void;
}

export interface LongFindings {
  readonly changes: number;
  readonly seconds: number;
  readonly findings: Findings;
  /** Slots that have changed owner, one change with the next. */
  readonly slotsMoved: number;
  /** How often a VIP had another interface node after a change than before. */
  readonly vipMoves: number;
  readonly mostExceptions: number;
  readonly exceptionsRefused: number;
}

const MEMBERS = 4;
const GROUP = "echo";
/** The first one is the only one where VIPs are not spread. */
const VIPS = [STANDARD.vip4, "10.77.0.101", "10.77.0.102", STANDARD.vip6] as const;
const serviceOf = (vip: string): string =>
  `"tcp ${vip.includes(":") ? `[${vip}]` : vip}:${ECHO_PORT}"`;
const groups = (vips: readonly string[]): string => `groups:
  - name: ${GROUP}
    services: [${vips.map(serviceOf).join(", ")}]
`;
/** Every so many changes a node leaves the configuration and comes back. */
const MEMBERSHIP_EVERY = 20;

interface Named {
  readonly name: string;
}

/** As much of a configuration as a node is named in. */
interface Draft {
  nodes: Named[];
  readonly groups: { nodes?: Named[] | "all" }[];
}

type Act = (cluster: LabCluster) => Promise<unknown>;

const weight =
  (node: string, value: number): Act =>
  (cluster) =>
    cluster.client("m1").setWeight({ params: { group: GROUP, node }, body: { weight: value } });
const drain =
  (node: string): Act =>
  (cluster) =>
    cluster.client("m1").drain({ params: { node } });
const undrain =
  (node: string): Act =>
  (cluster) =>
    cluster.client("m1").undrain({ params: { node } });

const moveVip =
  (vip: string, node: string): Act =>
  (cluster) =>
    cluster.client("m1").moveVip({ params: { vip }, body: { node } });
const releaseVip =
  (vip: string): Act =>
  (cluster) =>
    cluster.client("m1").releaseVip({ params: { vip } });

/** Between the others, where VIPs are spread; those also move with each node that is drained, leaves or returns. */
const VIP_ACTS: readonly Act[] = [
  moveVip(VIPS[0], "m2"),
  moveVip(VIPS[1], "m1"),
  moveVip(VIPS[0], "m3"),
  moveVip(VIPS[3], "m2"),
  releaseVip(VIPS[1]),
  moveVip(VIPS[0], "m1"),
  moveVip(VIPS[2], "m3"),
  releaseVip(VIPS[3]),
  moveVip(VIPS[0], "m2"),
  releaseVip(VIPS[2]),
];

/** Every slot moves several times in a turn of these. */
const ACTS: readonly Act[] = [
  weight("m2", 5),
  drain("m3"),
  weight("m2", 0),
  undrain("m3"),
  weight("m1", 0),
  weight("m2", 1),
  drain("m4"),
  weight("m1", 3),
  undrain("m4"),
  weight("m1", 1),
];

/** Everything is removed when this process ends, also by a signal. */
export async function changesUnderLongConnections(options: LongOptions): Promise<LongFindings> {
  const { name, method = "forward", spread = false } = options;
  const cluster = await LabCluster.up({
    name,
    members: MEMBERS,
    groups: groups(vipsOf(spread)),
    extraConfig: `delivery: { method: ${method} }\n${spread ? "interfaceNodes: {}\n" : ""}`,
    programs: (member) => [echoServer(member)],
    downOnExit: true,
  });
  try {
    await cluster.settled();
    return await new LongRun(cluster, options).run();
  } finally {
    await cluster.down();
  }
}

const vipsOf = (spread: boolean): readonly string[] => (spread ? VIPS : VIPS.slice(0, 1));

class LongRun {
  readonly #cluster: LabCluster;
  readonly #options: LongOptions;
  #slotsMoved = 0;
  #mostExceptions = 0;
  #refused = 0;
  #slots = new Map<string, number>();
  #vipMoves = 0;
  #holders = new Map<string, string>();
  readonly #acts: readonly Act[];

  constructor(cluster: LabCluster, options: LongOptions) {
    this.#cluster = cluster;
    this.#options = options;
    const more = options.spread === true ? VIP_ACTS : [];
    this.#acts = ACTS.flatMap((act, index) => [act, ...more.slice(index, index + 1)]);
  }

  async run(): Promise<LongFindings> {
    const { connections, sayEveryMs, changes, leastMs = 0, say } = this.#options;
    const { lab } = this.#cluster;
    const vips = vipsOf(this.#options.spread === true);
    const each = Math.ceil(connections / vips.length);
    const clients: EchoConnections[] = [];
    for (const vip of vips) clients.push(await EchoConnections.open(lab, each, vip, sayEveryMs));
    say(`${connections} connections are open`);
    const startedAt = performance.now();
    let done = 0;
    while (done < changes || performance.now() - startedAt < leastMs) {
      const isMembership = done % MEMBERSHIP_EVERY === MEMBERSHIP_EVERY - 1;
      done += isMembership ? await this.#leaveAndReturn() : await this.#act(done);
      if (done % 10 < 2) say(`${done} changes, ${this.#mostExceptions} exceptions at most`);
    }
    const seconds = (performance.now() - startedAt) / 1000;
    const findings = together(await Promise.all(clients.map((client) => client.finish())));
    return {
      changes: done,
      seconds,
      findings,
      slotsMoved: this.#slotsMoved,
      vipMoves: this.#vipMoves,
      mostExceptions: this.#mostExceptions,
      exceptionsRefused: this.#refused,
    };
  }

  async #act(index: number): Promise<number> {
    const act = this.#acts[index % this.#acts.length];
    const next = pause(this.#options.everyMs);
    await act?.(this.#cluster);
    await this.#look();
    await next;
    await this.#look();
    return 1;
  }

  /** Two changes: m4 is drained, leaves the configuration and so ends its agent, and is admitted anew. */
  async #leaveAndReturn(): Promise<number> {
    const [cluster, node] = [this.#cluster, "m4"];
    const before = (await cluster.client("m1").config({})).yaml;
    await cluster.client("m1").drain({ params: { node } });
    await pause(this.#options.everyMs);
    const config = parse(before) as Draft;
    const others = (nodes: readonly Named[]): Named[] => nodes.filter(({ name }) => name !== node);
    config.nodes = others(config.nodes);
    for (const group of config.groups) {
      if (typeof group.nodes !== "string") group.nodes = others(group.nodes ?? []);
    }
    await cluster.client("m1").putConfig({ body: { yaml: stringify(config) } });
    await cluster.until(`${node} is gone`, ({ members }) => members.every((m) => m.name !== node));
    await pause(this.#options.everyMs);
    await cluster.client("m1").putConfig({ body: { yaml: before } });
    rmSync(path.join(cluster.lab.folder(node), "state", "config.json"), { force: true });
    await new MemberAgent(cluster, node).start();
    await cluster.until(`${node} serves`, (status) => slotsOf(status, node) > 0);
    await this.#look();
    return 3;
  }

  /** Counts what the last change has done. */
  async #look(): Promise<void> {
    const status = await this.#cluster.status("m1");
    const slots = new Map(
      status.groups.flatMap(({ shares }) => shares.map((share) => [share.node, share.slots])),
    );
    for (const [node, count] of slots) {
      this.#slotsMoved += Math.max(0, count - (this.#slots.get(node) ?? count));
    }
    this.#slots = slots;
    for (const { vip, node } of status.vips.addresses) {
      if (node === undefined) continue;
      if ((this.#holders.get(vip) ?? node) !== node) this.#vipMoves += 1;
      this.#holders.set(vip, node);
    }
    const { exceptions, exceptionsRefused } = status.assignment;
    this.#mostExceptions = Math.max(this.#mostExceptions, exceptions);
    this.#refused = Math.max(this.#refused, exceptionsRefused);
  }
}

/** Of the clients of several VIPs. */
function together(all: readonly Findings[]): Findings {
  const servers: Record<string, number> = {};
  for (const findings of all) {
    for (const [server, count] of Object.entries(findings.servers)) {
      servers[server] = (servers[server] ?? 0) + count;
    }
  }
  return {
    opened: all.reduce((sum, { opened }) => sum + opened, 0),
    broken: all.flatMap(({ broken }) => broken),
    servers,
  };
}

const slotsOf = ({ groups }: Status, node: string): number =>
  groups
    .flatMap(({ shares }) => shares.filter((share) => share.node === node))
    .reduce((sum, { slots }) => sum + slots, 0);
