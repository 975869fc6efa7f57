// What takeover protection costs a download: the same program, file, client, member and port with and without it, by turns. And a long
// download whose member dies in its middle.
import { rmSync } from "node:fs";
import path from "node:path";
import { startedProcesses } from "#lab/record.ts";
import { STANDARD } from "#lab/standard.ts";
import { monotonicMs } from "../failover-attempts.ts";
import { pause } from "../failover-client.ts";
import { type CpuGroups, elapsed, withCpuGroups } from "../lib/cpu-groups.ts";
import type { SuiteOptions } from "../lib/options.ts";
import { median } from "../lib/statistics.ts";
import type { Row } from "../suite.ts";
import { CheckedDownload, writeMarked } from "./checked-download.ts";
import { serverOf } from "./connections.ts";
import { returns } from "./deaths.ts";
import type { SessionsLab } from "./lab.ts";
import { FILES, PORTS } from "./ports.ts";

const LEAST = 0.8;
const MOST_REPLICATED = 0.001;
/** Of the client: the member is the same for each download. */
const LOCAL_PORT = 20_000;
/** curl's word for a port that is still taken. */
const CURL_NO_PORT = 45;
const CURL_LIMIT_MS = 120_000;
/** No port is kept after its connection has ended. */
const KEPT_PORTS = "net.ipv4.tcp_max_tw_buckets";

export interface ThroughputPlan {
  readonly rounds: number;
  readonly largeBytes: number;
}

interface Measured {
  /** Bytes a second. */
  readonly rate: number;
  /** CPU time of the servers of all members, in ns for each byte. */
  readonly cpu: number;
  /** Bytes between members, of those of the download. */
  readonly replicated: number;
}

type Say = SuiteOptions["say"];

class Downloads {
  readonly #lab: SessionsLab;
  readonly #groups: CpuGroups;
  readonly #bytes: number;

  constructor(lab: SessionsLab, groups: CpuGroups, bytes: number) {
    this.#lab = lab;
    this.#groups = groups;
    this.#bytes = bytes;
    const { name } = lab.cluster.lab;
    for (const { pid, program } of startedProcesses(name)) {
      if (program === "sessions") groups.add("servers", pid);
    }
  }

  async #replicated(): Promise<number> {
    const each = await Promise.all(
      this.#lab.cluster.members.map((member) => this.#lab.replicated(member)),
    );
    return each.reduce((sum, bytes) => sum + bytes, 0);
  }

  async measure(port: number): Promise<Measured> {
    const [before, cpuBefore] = [await this.#replicated(), this.#groups.read()];
    const rate = await this.#download(port);
    const cpu = elapsed(cpuBefore, this.#groups.read()).groups["servers"] ?? Number.NaN;
    const replicated = (await this.#replicated()) - before;
    return { rate, cpu: cpu / this.#bytes, replicated: replicated / this.#bytes };
  }

  async #download(port: number): Promise<number> {
    const argv = [
      ...["curl", "--silent", "--show-error", "--local-port", String(LOCAL_PORT)],
      ...["--header", "Connection: close", "--output", "/dev/null"],
      ...["--write-out", "%{speed_download}", `http://${STANDARD.vip4}:${port}/${FILES.large}`],
    ];
    const { status, stdout, stderr } = await this.#lab.cluster.lab.exec(STANDARD.client, argv, {
      timeoutMs: CURL_LIMIT_MS,
    });
    if (status === CURL_NO_PORT) {
      await pause(50);
      return this.#download(port);
    }
    if (status !== 0) throw new Error(`curl: ${stderr}`);
    return Number(stdout);
  }
}

export async function throughput(lab: SessionsLab, plan: ThroughputPlan, say: Say): Promise<Row[]> {
  const kept = await lab.clientSetting(KEPT_PORTS);
  await lab.setClient(`${KEPT_PORTS}=0`);
  try {
    return await withCpuGroups(["servers"], (groups) =>
      byTurns(new Downloads(lab, groups, plan.largeBytes), plan.rounds, say),
    );
  } finally {
    await lab.setClient(`${KEPT_PORTS}=${kept}`);
  }
}

async function byTurns(downloads: Downloads, rounds: number, say: Say): Promise<Row[]> {
  const seen = { guarded: [] as Measured[], plain: [] as Measured[] };
  for (let round = -1; round < rounds; round++) {
    const kinds = [PORTS.files, PORTS.plainFiles];
    if (round % 2 !== 0) kinds.reverse();
    for (const port of kinds) {
      const measured = await downloads.measure(port);
      // the first of each kind only makes everything warm
      if (round >= 0) (port === PORTS.files ? seen.guarded : seen.plain).push(measured);
    }
    const [guarded, plain] = [seen.guarded.at(-1), seen.plain.at(-1)];
    say(`round ${round + 1}: ${shown(guarded)} protected, ${shown(plain)} plain`);
  }
  return rowsOf(seen.guarded, seen.plain);
}

const shown = ({ rate, cpu }: Measured = { rate: 0, cpu: 0, replicated: 0 }): string =>
  `${(rate / 1e6).toFixed(0)} MB/s with ${cpu.toFixed(2)} s of CPU time a GB`;

function rowsOf(guarded: readonly Measured[], plain: readonly Measured[]): Row[] {
  /** Of neighbours: what else the machine does changes from round to round. */
  const ratioOf = (what: "rate" | "cpu"): number =>
    median(guarded.map((each, round) => each[what] / (plain[round]?.[what] ?? Number.NaN)));
  const middle = (all: readonly Measured[], what: keyof Measured): number =>
    median(all.map((each) => each[what]));
  const [ratio, replicated] = [ratioOf("rate"), middle(guarded, "replicated")];
  const mbs = { unit: "MB/s" };
  const cpu = { unit: "s of the servers' CPU time a GB" };
  return [
    { name: "download, plain", value: middle(plain, "rate") / 1e6, ...mbs, ratio: 1 },
    {
      ...{ name: "download, protected", value: middle(guarded, "rate") / 1e6, ...mbs, ratio },
      target: { text: `≥ ${LEAST} of plain`, met: ratio >= LEAST },
    },
    { name: "download, plain: CPU", value: middle(plain, "cpu"), ...cpu, ratio: 1 },
    {
      ...{ name: "download, protected: CPU", value: middle(guarded, "cpu"), ...cpu },
      ratio: ratioOf("cpu"),
    },
    {
      ...{ name: "replication of a download", value: replicated * 100, unit: "% of its bytes" },
      target: { text: "< 0.1 %", met: replicated < MOST_REPLICATED },
    },
  ];
}

/** The member that serves a download dies without a word when half of it has come. */
export async function interrupted(lab: SessionsLab, bytes: number, say: Say): Promise<Row[]> {
  const { cluster, folder } = lab;
  const file = path.join(folder, FILES.marked);
  const sha256 = writeMarked(file, bytes);
  const began = monotonicMs();
  const url = `http://${STANDARD.vip4}:${PORTS.files}/${FILES.marked}`;
  const download = new CheckedDownload(cluster.lab, url);
  await download.reach(bytes / 2);
  const victim = await serverOf(cluster, PORTS.files);
  download.go();
  await cluster.lab.faults.kill(victim);
  const came = await download.end();
  const seconds = (monotonicMs() - began) / 1000;
  const met = came.status === 0 && came.bytes === bytes && came.sha256 === sha256;
  say(`${victim} died in the middle: ${JSON.stringify(came)} after ${seconds.toFixed(1)} s`);
  rmSync(file);
  await returns(lab, victim);
  return [
    {
      ...{
        name: `${bytes / 2 ** 20} MiB, its member dies in the middle`,
        value: seconds,
        unit: "s",
      },
      target: { text: "the right SHA-256", met },
    },
  ];
}
