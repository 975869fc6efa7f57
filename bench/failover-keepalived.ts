// The same deaths for keepalived, as it is used where there is no IPVS: two servers, the VIP moves by VRRP to the other
// one. Only the death of the master is measured: nobody sees that of the backup.
import { rmSync } from "node:fs";
import path from "node:path";
import { Lab } from "#lab/lab.ts";
import { STANDARD, type StandardMember, standardTopology } from "#lab/standard.ts";
import type { Program } from "#lab/topology.ts";
import { monotonicMs, type Outage } from "./failover-attempts.ts";
import { ProbingClient } from "./failover-client.ts";
import { shown } from "./failover-deaths.ts";

export interface VrrpSettings {
  readonly version: 2 | 3;
  /** Seconds between advertisements; the backup takes over after three and a bit. */
  readonly advertInterval: number;
}

export interface KeepalivedOptions extends VrrpSettings {
  readonly deaths: number;
  readonly say: (line: string) => void;
}

/** Three intervals, the skew, and some more. */
const takeoverMs = ({ advertInterval }: VrrpSettings): number => 4 * advertInterval * 1000;
const WATCH_AFTER_MS = 1500;

const PID_FILES = ["keepalived.pid", "vrrp.pid"];

const configuration = ({ version, advertInterval }: VrrpSettings, number: number): string => `
global_defs {
  router_id @HOST@
  vrrp_version ${version}
}
vrrp_instance vip {
  state BACKUP
  nopreempt
  interface ${STANDARD.interface}
  virtual_router_id 51
  priority ${110 - 10 * number}
  advert_int ${advertInterval}
  virtual_ipaddress { ${STANDARD.vip4}/${STANDARD.prefix4} dev ${STANDARD.interface} }
}
`;

function keepalived(settings: VrrpSettings, { number }: StandardMember): Program {
  return {
    name: "keepalived",
    argv: [
      ...[
        "keepalived",
        "--dont-fork",
        "--log-console",
        "--vrrp",
        "--use-file=@DIR@/keepalived.conf",
      ],
      ...["--pid=@DIR@/keepalived.pid", "--vrrp_pid=@DIR@/vrrp.pid"],
    ],
    files: { "keepalived.conf": configuration(settings, number) },
    ready: { file: "@DIR@/vrrp.pid" },
  };
}

export async function keepalivedDeaths(options: KeepalivedOptions): Promise<Outage[]> {
  const topology = standardTopology({
    members: 2,
    programs: (member) => [keepalived(options, member)],
  });
  const lab = await Lab.up(topology, { name: `bk${process.pid}`, downOnExit: true });
  try {
    const client = new ProbingClient(lab, [STANDARD.vip4]);
    const outages: Outage[] = [];
    for (let round = 0; round < options.deaths; round++) {
      client.forget();
      await requireAllRunning(lab);
      // so long that the one that came back has heard of the master, and does not take over itself
      const master = await client.calm(STANDARD.vip4, takeoverMs(options) + 500);
      const deathAt = monotonicMs();
      await lab.faults.kill(master);
      const watchMs = takeoverMs(options) + WATCH_AFTER_MS;
      const outage = await client.watch(STANDARD.vip4, deathAt, watchMs);
      outages.push(outage);
      options.say(`keepalived ${round + 1}: ${shown("IPv4", outage)}`);
      await revive(lab, master);
    }
    client.stop();
    return outages;
  } finally {
    await lab.down();
  }
}

/**
 * A machine's /run is empty after its boot, a lab host's folder is not: keepalived would refuse to start ("daemon is
 * already running") when another process has got the number in its old pid file.
 */
async function revive(lab: Lab, host: string): Promise<void> {
  for (const file of PID_FILES) rmSync(path.join(lab.folder(host), file), { force: true });
  await lab.faults.revive(host);
}

/** Without a backup that runs, the death of the master would measure the lab and not keepalived. */
async function requireAllRunning(lab: Lab): Promise<void> {
  for (const { name, programs } of (await lab.status()).hosts) {
    const ended = programs.find(({ state }) => state !== "running");
    if (ended !== undefined) throw new Error(`${ended.name} of ${name} does not run; see its log`);
  }
}
