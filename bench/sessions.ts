// `npm run bench -- sessions`: what it costs that TCP connections outlive their member (A16), and how long their clients wait when it dies.
import path from "node:path";
import { STANDARD } from "#lab/standard.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { median } from "./lib/statistics.ts";
import { type DeathSeen, dies, returns } from "./sessions/deaths.ts";
import { SessionsClient, SessionsLab } from "./sessions/lab.ts";
import type { RoundTrips } from "./sessions/round-trips.ts";
import { interrupted, throughput } from "./sessions/throughput.ts";
import type { Row, Suite } from "./suite.ts";

const MEMBERS = 3;
const FULL = { rounds: 10, largeBytes: 2 ** 30, trips: 3000, deaths: 6, crowds: 2, crowd: 3000 };
const QUICK = { rounds: 5, largeBytes: 2 ** 28, trips: 500, deaths: 2, crowds: 1, crowd: 600 };
type Plan = typeof FULL;
type Say = SuiteOptions["say"];

const PROMISED = { tripMs: 1, pauseMs: 100, crowdMs: 1000 };
const WATCH_MS = 3000;
/** Whoever dies second has its own and half of the first one's: no crowd that anything is promised of. */
const LARGER = 1.3;
const TRIPS_LIMIT_MS = 120_000;

export async function sessions({ quick, say }: SuiteOptions): Promise<Suite> {
  const plan = quick ? QUICK : FULL;
  const { largeBytes } = plan;
  const lab = await SessionsLab.up({
    name: `bs${process.pid}`,
    members: MEMBERS,
    largeBytes,
  });
  try {
    const rows = [
      ...(await throughput(lab, plan, say)),
      ...(await interrupted(lab, largeBytes, say)),
      ...(await roundTrips(lab, plan)),
      ...(await deaths(lab, plan, say)),
      ...(await crowds(lab, plan, say)),
    ];
    return {
      name: "sessions",
      title: "Sessions that outlive their member",
      method: method(plan),
      rows,
    };
  } finally {
    await lab.down();
  }
}

const method = ({
  rounds,
  largeBytes,
  trips,
  deaths: count,
  crowds: times,
  crowd,
}: Plan): string[] => [
  `${MEMBERS} members; each session is told to the other two. Beside it the same program on a plain socket of the same member, in turn.`,
  `Throughput: curl downloads ${largeBytes / 2 ** 20} MiB, ${rounds} times each, always from the same member, after one download of each kind; median of the ratios of neighbours.`,
  "Replication: bytes on the streams between members meanwhile, both directions.",
  `Round trip: ${trips} lines on twelve connections each, in turn, one at a time.`,
  `Pause: ${count} deaths (link down, then all processes end), of the master and of another in turn, under 30 dialogues and 6 downloads.`,
  "Counted from the moment when the first survivor tells its applications of the death, until bytes come again.",
  `A crowd: ${crowd} dialogues, of which a member has about a third when it dies; ${times} deaths, the second with what was the first one's.`,
];

async function roundTrips(lab: SessionsLab, { trips }: Plan): Promise<Row[]> {
  const program = path.join(import.meta.dirname, "sessions/round-trips.ts");
  const argv = [process.execPath, program, STANDARD.vip4, String(trips)];
  const { status, stdout, stderr } = await lab.cluster.lab.exec(STANDARD.client, argv, {
    timeoutMs: TRIPS_LIMIT_MS,
  });
  if (status !== 0) throw new Error(`round trips: ${stderr}`);
  const { protectedMs, plainMs } = JSON.parse(stdout) as RoundTrips;
  const [guarded, plain] = [median(protectedMs), median(plainMs)];
  const added = guarded - plain;
  return [
    { name: "round trip, plain", value: plain, unit: "ms", ratio: 1 },
    { name: "round trip, protected", value: guarded, unit: "ms", ratio: guarded / plain },
    {
      ...{ name: "round trip, added", value: added, unit: "ms" },
      target: { text: `≤ ${PROMISED.tripMs} ms`, met: added <= PROMISED.tripMs },
    },
  ];
}

/** The master and another member in turn. */
async function victimOf(lab: SessionsLab, round: number): Promise<string> {
  const master = await lab.cluster.master();
  const others = lab.cluster.members.filter((member) => member !== master);
  return round % 2 === 0 ? master : (others[round % others.length] ?? master);
}

async function eachDeath(
  { lab, client, count }: { lab: SessionsLab; client: SessionsClient; count: number },
  say: Say,
): Promise<DeathSeen[]> {
  const seen: DeathSeen[] = [];
  for (let round = 0; round < count; round++) {
    const victim = await victimOf(lab, round);
    const death = await dies({ lab, client }, victim, WATCH_MS);
    seen.push(death);
    const { afterMs, report, detectionMs, lastResumedMs = Number.NaN, resumed } = death;
    const pauses = (values: readonly number[]): string =>
      `${values.length} by ${median(values).toFixed(0)} (at most ${Math.max(...values).toFixed(0)}) ms`;
    say(
      `death ${round + 1} (${victim}): noticed after ${detectionMs.toFixed(0)} ms, ${resumed} resumed until ${lastResumedMs.toFixed(0)} ms later; ` +
        `dialogues ${pauses(afterMs.dialogue)}, downloads ${pauses(afterMs.download)}; ` +
        `broken: ${report.broken.length} ${report.broken.slice(0, 3).join("; ")}`,
    );
    await returns(lab, victim);
  }
  return seen;
}

const brokenRow = (name: string, seen: readonly DeathSeen[]): Row => {
  const value = seen.reduce((sum, { report }) => sum + report.broken.length, 0);
  return { name, value, unit: "connections", target: { text: "none", met: value === 0 } };
};

async function deaths(lab: SessionsLab, { deaths: count }: Plan, say: Say): Promise<Row[]> {
  // so small that what the client has in its buffers does not hide a pause from it
  await lab.setClient("net.ipv4.tcp_rmem=4096 32768 65536");
  const client = await SessionsClient.open(lab, {
    ...{ address: STANDARD.vip4, dialogues: 30, thinkMs: 20, window: 1 },
    ...{ downloads: 6, rate: 8e6, lastMs: 1e9 },
  });
  const seen = await eachDeath({ lab, client, count }, say);
  client.end();
  const row = (name: string, values: readonly number[], promised: boolean): Row => {
    const value = median(values);
    const met = value <= PROMISED.pauseMs;
    const target = { text: `≤ ${PROMISED.pauseMs} ms`, met };
    return { name, value, unit: "ms, median", ...(promised ? { target } : {}) };
  };
  const after = (kind: "dialogue" | "download"): number[] =>
    seen.flatMap(({ afterMs }) => afterMs[kind]);
  return [
    row(
      "death: noticed after",
      seen.map(({ detectionMs }) => detectionMs),
      false,
    ),
    row(
      "death: pause of all sessions after that",
      [...after("dialogue"), ...after("download")],
      true,
    ),
    row("death: pause of downloads after that", after("download"), false),
    row("death: pause of dialogues after that", after("dialogue"), false),
    brokenRow("death: broken or wrong", seen),
  ];
}

async function crowds(lab: SessionsLab, plan: Plan, say: Say): Promise<Row[]> {
  const client = await SessionsClient.open(lab, {
    ...{ address: STANDARD.vip4, dialogues: plan.crowd, thinkMs: 2000, window: 1 },
    ...{ downloads: 0, rate: 1, lastMs: 1e9 },
  });
  const seen = await eachDeath({ lab, client, count: plan.crowds }, say);
  client.end();
  const promised = (count: number): boolean => count <= (LARGER * plan.crowd) / MEMBERS;
  return [
    ...seen.map(({ resumed, lastResumedMs: value = Number.NaN }): Row => {
      const target = { text: `≤ ${PROMISED.crowdMs} ms`, met: value <= PROMISED.crowdMs };
      const name = `crowd of ${resumed}: all there after`;
      return { name, value, unit: "ms", ...(promised(resumed) ? { target } : {}) };
    }),
    brokenRow("crowd: broken or wrong", seen),
  ];
}
