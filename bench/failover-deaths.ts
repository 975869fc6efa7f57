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
  /** Also watch what comes when service is back: a new master moves slots two seconds after it has taken over (docs/adr/0012). */
  readonly watchMoves?: boolean;
  readonly say: (line: string) => void;
}

export type Victim = "member" | "master";

export interface Death {
  readonly victim: Victim;
  readonly ipv4: Outage;
  readonly ipv6: Outage;
  /** After that, while slots move, of both families; nothing where it was not watched. */
  readonly moves: { readonly failed: number; readonly attempted: number };
}

const WATCH_MS = 1500;
/** From then on: a round of balancing after the take-over, and the moves. */
const MOVES_MS = 2500;
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
        const death = await oneDeath(cluster, client, victim, { ...options, round });
        options.say(
          `${victim} ${round + 1}: ${shown("IPv4", death.ipv4)}, ${shown("IPv6", death.ipv6)}${shownMoves(death)}`,
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
  { round, watchMoves = false }: { readonly round: number; readonly watchMoves?: boolean },
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
  const moves = watchMoves ? await watchedMoves(client, deathAt) : { failed: 0, attempted: 0 };
  await cluster.lab.faults.revive(host);
  await pause(CALM_MS);
  return { victim, ipv4, ipv6, moves };
}

async function watchedMoves(client: ProbingClient, deathAt: number): Promise<Death["moves"]> {
  const from = deathAt + WATCH_MS;
  const seen = await Promise.all(
    [STANDARD.vip4, STANDARD.vip6].map((vip) => client.watch(vip, from, MOVES_MS)),
  );
  const sum = (of: (outage: Outage) => number): number =>
    seen.reduce((total, outage) => total + of(outage), 0);
  return { failed: sum(({ failed }) => failed), attempted: sum(({ attempted }) => attempted) };
}

const shownMoves = ({ moves: { failed, attempted } }: Death): string =>
  attempted === 0 ? "" : `; afterwards ${failed} of ${attempted}`;

export const shown = (family: string, { ms, ended, failed, attempted }: Outage): string =>
  `${family} ${ended ? "" : "> "}${ms.toFixed(0)} ms (${failed} of ${attempted} attempts failed)`;
