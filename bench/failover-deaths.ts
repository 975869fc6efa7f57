// Panoply loses machines, one after another, while a client asks its VIPs: members that are not master, then masters.
import { LabCluster } from "#lab/cluster.ts";
import type { Lab } from "#lab/lab.ts";
import { STANDARD } from "#lab/standard.ts";
import { monotonicMs, type Outage } from "./failover-attempts.ts";
import { pause, ProbingClient } from "./failover-client.ts";

export interface DeathsOptions {
  readonly victims: readonly Victim[];
  /** Of each kind of victim. */
  readonly deaths: number;
  readonly members: number;
  readonly extraConfig?: string;
  /** The client keeps the VIPs' MAC for ever, so that no announcement can help it. */
  readonly pinned?: boolean;
  readonly say: (line: string) => void;
}

export type Victim = "member" | "master";

export interface Death {
  readonly victim: Victim;
  readonly ipv4: Outage;
  readonly ipv6: Outage;
}

const WATCH_MS = 1500;
const CALM_MS = 300;

/** Everything is removed when this process ends, also by a signal. */
export async function panoplyDeaths(options: DeathsOptions): Promise<Death[]> {
  const { members, extraConfig } = options;
  const cluster = await LabCluster.up({
    name: `bf${process.pid}`,
    members,
    downOnExit: true,
    ...(extraConfig === undefined ? {} : { extraConfig }),
  });
  try {
    await cluster.settled();
    if (options.pinned === true) await pinNeighbours(cluster.lab);
    const client = new ProbingClient(cluster.lab, [STANDARD.vip4, STANDARD.vip6]);
    const deaths: Death[] = [];
    for (const victim of options.victims) {
      for (let round = 0; round < options.deaths; round++) {
        const death = await oneDeath(cluster, client, victim, round);
        options.say(
          `${victim} ${round + 1}: ${shown("IPv4", death.ipv4)}, ${shown("IPv6", death.ipv6)}`,
        );
        deaths.push(death);
      }
    }
    client.stop();
    return deaths;
  } finally {
    await cluster.down();
  }
}

/** Asks who has the VIPs once, and makes the answers permanent. */
async function pinNeighbours(lab: Lab): Promise<void> {
  const { client, interface: device, vip4, vip6 } = STANDARD;
  for (const vip of [vip4, vip6]) {
    await lab.exec(client, ["ping", "-n", "-c1", "-W5", vip]);
    const { stdout } = await lab.exec(client, ["ip", "neigh", "show", "to", vip]);
    const mac = /lladdr (\S+)/.exec(stdout)?.[1];
    if (mac === undefined) throw new Error(`Nobody told the client where ${vip} is`);
    const entry = ["ip", "neigh", "replace", vip, "lladdr", mac, "dev", device, "nud", "permanent"];
    const { status, stderr } = await lab.exec(client, entry);
    if (status !== 0) throw new Error(`Cannot keep the MAC of ${vip}: ${stderr}`);
  }
}

async function oneDeath(
  cluster: LabCluster,
  client: ProbingClient,
  victim: Victim,
  round: number,
): Promise<Death> {
  await cluster.settled();
  client.forget();
  await client.calm(STANDARD.vip4, CALM_MS);
  await client.calm(STANDARD.vip6, CALM_MS);
  const master = await cluster.master();
  const others = cluster.members.filter((name) => name !== master);
  const host = victim === "master" ? master : (others[round % others.length] ?? "");
  // taken before the command that takes the link down starts: its few milliseconds count against us
  const deathAt = monotonicMs();
  await cluster.lab.faults.kill(host);
  const [ipv4, ipv6] = await Promise.all([
    client.watch(STANDARD.vip4, deathAt, WATCH_MS),
    client.watch(STANDARD.vip6, deathAt, WATCH_MS),
  ]);
  await cluster.lab.faults.revive(host);
  await pause(CALM_MS);
  return { victim, ipv4, ipv6 };
}

export const shown = (family: string, { ms, ended, failed, attempted }: Outage): string =>
  `${family} ${ended ? "" : "> "}${ms.toFixed(0)} ms (${failed} of ${attempted} attempts failed)`;
