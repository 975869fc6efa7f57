// How long it takes until the last member forwards by new tables (B4, B9): 65 536 slots, of which many move, and ten thousand pinned
// connections.
import { statSync } from "node:fs";
import path from "node:path";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { pause } from "./failover-client.ts";
import { ECHO_PORT, EchoConnections, echoServer } from "./failover-connections.ts";
import { InstalledVersions } from "./lib/installed-versions.ts";

export interface PublishOptions {
  readonly connections: number;
  readonly publications: number;
  readonly say: (line: string) => void;
}

export interface PublishFindings {
  /** From the operator's request until every member forwards by the tables that follow from it. */
  readonly tookMs: readonly number[];
  /** The same from the master's decision: it writes down the change that it has accepted, and has computed nothing yet. */
  readonly decidedMs: readonly number[];
  readonly exceptions: number;
  readonly broken: number;
}

const MEMBERS = 4;
const GROUP = "echo";
const GROUPS = `groups:
  - name: ${GROUP}
    slots: 65536
    nodes: [{ name: m1, weight: 1 }, { name: m2, weight: 0 }, { name: m3, weight: 0 }, { name: m4, weight: 0 }]
    services: ["tcp ${STANDARD.vip4}:${ECHO_PORT}"]
`;
/** Until pinned connections have emptied their chains and nothing is on its way. */
const REST_MS = 6000;

export async function publications(options: PublishOptions): Promise<PublishFindings> {
  const cluster = await LabCluster.up({
    name: `bp${process.pid}`,
    members: MEMBERS,
    groups: GROUPS,
    programs: (member) => [echoServer(member)],
    downOnExit: true,
  });
  try {
    return await measured(cluster, options);
  } finally {
    await cluster.down();
  }
}

async function measured(
  cluster: LabCluster,
  { connections, publications: count, say }: PublishOptions,
): Promise<PublishFindings> {
  const setWeight = (node: string, weight: number): Promise<unknown> =>
    cluster.client("m1").setWeight({ params: { group: GROUP, node }, body: { weight } });
  await cluster.until("m1 owns every slot", ({ groups }) =>
    (groups[0]?.shares ?? []).some((share) => share.node === "m1" && share.slots === 65_536),
  );
  const clients = await EchoConnections.open(cluster.lab, connections, STANDARD.vip4, 10_000);
  await setWeight("m2", 1);
  await setWeight("m1", 0);
  const pinned = ({ assignment }: { assignment: { exceptions: number } }): boolean =>
    assignment.exceptions >= connections;
  const status = await cluster.until("every connection is pinned", pinned);
  say(`${status.assignment.exceptions} connections are pinned`);
  const versions = new InstalledVersions(cluster.lab, cluster.members);
  const [tookMs, decidedMs]: [number[], number[]] = [[], []];
  const configOf = path.join(cluster.lab.folder(await cluster.master()), "state", "config.json");
  try {
    for (let index = 0; index < count; index++) {
      await pause(REST_MS);
      const before = versions.newest;
      const startedAt = performance.now();
      const asked = setWeight("m3", index % 2 === 0 ? 1 : 0);
      await versions.newerThan(before);
      const endedAt = performance.now();
      tookMs.push(endedAt - startedAt);
      decidedMs.push(performance.timeOrigin + endedAt - statSync(configOf).mtimeMs);
      await asked;
    }
  } finally {
    versions.close();
  }
  const { assignment } = await cluster.status("m1");
  const { broken } = await clients.finish();
  return { tookMs, decidedMs, exceptions: assignment.exceptions, broken: broken.length };
}
