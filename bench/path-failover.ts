// `npm run bench -- paths`: how long connections stand still when a private path fails (B11), in silence and by its link. Two private
// segments, method forward, detection as it is by default; beside the same load without a failure.
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import type { SuiteOptions } from "./lib/options.ts";
import type { Row, Suite } from "./suite.ts";

const CONNECTIONS = 32;
const LOAD_MS = 4000;
const DETECTION_MS = 200;
const PROMISED_MS = DETECTION_MS + 50;
const ROUNDS = 10;
const QUICK_ROUNDS = 2;
const CLIENT = path.join(import.meta.dirname, "path-failover-client.ts");

type Failure = "none" | "silence" | "link";

interface Measured {
  readonly longestMs: number;
  readonly broken: number;
}

export async function pathFailover({ quick, say }: SuiteOptions): Promise<Suite> {
  const cluster = await LabCluster.up({
    name: `b${process.pid}-paths`,
    members: 3,
    paths: 2,
    extraConfig: `detection: { intervalMs: ${DETECTION_MS} }\n`,
    downOnExit: true,
  });
  try {
    await cluster.settled();
    await pause(1000); // hellos have gone both ways long before
    const rows: Row[] = [];
    for (const failure of ["none", "silence", "link"] as const) {
      const rounds: Measured[] = [];
      for (let round = 0; round < (quick ? QUICK_ROUNDS : ROUNDS); round++) {
        rounds.push(await measure(cluster, failure));
        say(`${failure}: ${JSON.stringify(rounds.at(-1))}`);
      }
      rows.push(...rowsOf(failure, rounds));
    }
    return {
      name: "paths",
      title: "A private path fails",
      method: [
        `${CONNECTIONS} connections with a small request every 2 ms each, through the master to two servers over two private paths;`,
        "the first path of one server fails in the middle. The longest time that any connection waited for an answer; median of the rounds.",
      ],
      rows,
    };
  } finally {
    await cluster.down();
  }
}

const NAMES: Readonly<Record<Failure, string>> = {
  none: "nothing fails",
  silence: "a path falls silent",
  link: "a path's link goes down",
};

function rowsOf(failure: Failure, rounds: readonly Measured[]): Row[] {
  const sorted = rounds.map(({ longestMs }) => longestMs).sort((a, b) => a - b);
  const median = sorted[Math.floor(sorted.length / 2)] ?? 0;
  const broken = rounds.reduce((sum, round) => sum + round.broken, 0);
  const pauses = { text: `≤ ${PROMISED_MS} ms`, met: median <= PROMISED_MS };
  return [
    {
      name: `${NAMES[failure]}: longest wait`,
      value: median,
      unit: "ms",
      ...(failure === "none" ? {} : { target: pauses }),
    },
    {
      name: `${NAMES[failure]}: connections broken`,
      value: broken,
      unit: "",
      target: { text: "none", met: broken === 0 },
    },
  ];
}

async function measure(cluster: LabCluster, failure: Failure): Promise<Measured> {
  const master = await cluster.master();
  const server = cluster.members.find((member) => member !== master) ?? "";
  const first = STANDARD.path(1);
  const argv = [process.execPath, CLIENT, STANDARD.vip4, String(CONNECTIONS), String(LOAD_MS)];
  const load = cluster.lab.exec(STANDARD.client, argv);
  await pause(LOAD_MS / 2);
  if (failure === "link") await cluster.lab.faults.link(server, "down", first);
  if (failure === "silence") await cluster.lab.faults.unplug(server, first, true);
  const { stdout } = await load;
  const waits = JSON.parse(stdout) as (number | null)[];
  if (failure === "link") await cluster.lab.faults.link(server, "up", first);
  if (failure === "silence") await cluster.lab.faults.unplug(server, first, false);
  await pause(1000); // the path is used again
  return {
    longestMs: waits.reduce<number>((most, wait) => Math.max(most, wait ?? 0), 0),
    broken: waits.filter((wait) => wait === null).length,
  };
}
