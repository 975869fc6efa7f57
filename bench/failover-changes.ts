// What an operator does to a cluster in service, with hundreds of connections open: how many of them break. The goal is
// none, also of those that are opened while the change is under way.
import { readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { parse, stringify } from "yaml";
import type { Status } from "#api/status.ts";
import { LabCluster } from "#lab/cluster.ts";
import { pause } from "./failover-client.ts";
import {
  connectionsDuring,
  ECHO_GROUPS,
  echoServer,
  type Findings,
} from "./failover-connections.ts";
import { MemberAgent } from "./failover-member-agent.ts";

export interface ChangesOptions {
  readonly members: number;
  /** Open before each change begins; 50 a second more are opened while it is under way. */
  readonly connections: number;
  readonly say: (line: string) => void;
}

export interface Change {
  readonly name: string;
  readonly findings: Findings;
}

interface Step {
  readonly name: string;
  readonly act: (cluster: LabCluster) => Promise<void>;
}

/** Between two acts of one change, so that connections are opened in every state. */
const REST_MS = 1000;
const GROUP = "echo";
/** Who is drained, removed, restarted … Never master in these changes. */
const NODE = "m3";

const STEPS: readonly Step[] = [
  { name: "a node is drained, then undrained", act: drainAndBack },
  { name: "a node's weight is raised to 5, then set back", act: weightAndBack },
  { name: "a drained node is removed from the configuration", act: drainAndRemove },
  { name: "a node is added to the configuration", act: addAgain },
  { name: "a member's agent is restarted (SIGTERM)", act: (c) => restart(c, NODE, "SIGTERM") },
  { name: "a member's agent is killed and started again", act: (c) => restart(c, NODE, "SIGKILL") },
  { name: "the master's agent is restarted (SIGTERM)", act: (c) => restartMaster(c, "SIGTERM") },
  {
    name: "the master's agent is killed and started again",
    act: (c) => restartMaster(c, "SIGKILL"),
  },
];

/** Everything is removed when this process ends, also by a signal. */
export async function changesInService(options: ChangesOptions): Promise<Change[]> {
  const cluster = await LabCluster.up({
    name: `bc${process.pid}`,
    members: options.members,
    groups: ECHO_GROUPS,
    programs: (member) => [echoServer(member)],
    downOnExit: true,
  });
  try {
    const changes: Change[] = [];
    for (const { name, act } of STEPS) {
      await masterElsewhere(cluster);
      const findings = await connectionsDuring(cluster.lab, options.connections, () =>
        act(cluster),
      );
      options.say(`${name}: ${findings.broken.length} of ${findings.opened} broke`);
      changes.push({ name, findings });
    }
    return changes;
  } finally {
    await cluster.down();
  }
}

/** NODE is not to be master: a member's change and the master's are different rows. */
async function masterElsewhere(cluster: LabCluster): Promise<void> {
  await cluster.until("there is a master", (status) => status.cluster.master !== undefined);
  if ((await cluster.master()) !== NODE) return;
  const agent = new MemberAgent(cluster, NODE);
  await agent.stop("SIGTERM");
  await cluster.settled(cluster.members.filter((name) => name !== NODE));
  await agent.start();
  await cluster.settled();
}

async function drainAndBack(cluster: LabCluster): Promise<void> {
  await cluster.client("m1").drain({ params: { node: NODE } });
  await cluster.until(`${NODE} has no slots`, (status) => slotsOf(status, NODE) === 0);
  await pause(REST_MS);
  await cluster.client("m1").undrain({ params: { node: NODE } });
  await cluster.settled();
  await pause(REST_MS);
}

async function weightAndBack(cluster: LabCluster): Promise<void> {
  for (const weight of [5, 1]) {
    const before = (await cluster.status("m1")).cluster.tables.counter;
    const params = { group: GROUP, node: NODE };
    await cluster.client("m1").setWeight({ params, body: { weight } });
    await cluster.until("the weight is in force", (s) => s.datapath.version.counter > before);
    await pause(REST_MS);
  }
}

async function drainAndRemove(cluster: LabCluster): Promise<void> {
  await cluster.client("m1").drain({ params: { node: NODE } });
  await cluster.until(`${NODE} has no slots`, (status) => slotsOf(status, NODE) === 0);
  const config = parse(firstConfig(cluster)) as { nodes: { name: string }[] };
  config.nodes = config.nodes.filter(({ name }) => name !== NODE);
  await cluster.client("m1").putConfig({ body: { yaml: stringify(config) } });
  await cluster.settled(cluster.members.filter((name) => name !== NODE));
  await pause(REST_MS);
}

/** As YAML: what the cluster began with. All nodes are in it, with equal weights. */
const firstConfig = (cluster: LabCluster): string =>
  readFileSync(path.join(cluster.folder, "cluster.yaml"), "utf8");

/** A removed node's agent has ended, and keeps the configuration that removed it; an operator starts it anew. */
async function addAgain(cluster: LabCluster): Promise<void> {
  await cluster.client("m1").putConfig({ body: { yaml: firstConfig(cluster) } });
  rmSync(path.join(cluster.lab.folder(NODE), "state", "config.json"), { force: true });
  await new MemberAgent(cluster, NODE).start();
  await cluster.settled();
  await pause(REST_MS);
}

async function restart(
  cluster: LabCluster,
  member: string,
  signal: "SIGTERM" | "SIGKILL",
): Promise<void> {
  const agent = new MemberAgent(cluster, member);
  await agent.stop(signal);
  await cluster.settled(cluster.members.filter((name) => name !== member));
  await pause(REST_MS);
  await agent.start();
  await cluster.settled();
  await pause(REST_MS);
}

const restartMaster = async (cluster: LabCluster, signal: "SIGTERM" | "SIGKILL"): Promise<void> =>
  restart(cluster, await cluster.master(), signal);

/** Slots of a node in all groups together. */
const slotsOf = (status: Status, node: string): number =>
  status.groups
    .flatMap(({ shares }) => shares.filter((share) => share.node === node))
    .reduce((sum, { slots }) => sum + slots, 0);
