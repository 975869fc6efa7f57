// A cluster in which nobody dies, while the machine is too busy or frames are lost: every departure and every election
// is a mistake. What members say of each other is asked of every one of them, before and after.
import os from "node:os";
import { LabCluster } from "#lab/cluster.ts";
import { STANDARD } from "#lab/standard.ts";
import { monotonicMs } from "./failover-attempts.ts";
import { pause, ProbingClient } from "./failover-client.ts";

export interface SoakOptions {
  readonly members: number;
  readonly seconds: number;
  readonly say: (line: string) => void;
}

export interface Soak {
  readonly name: string;
  /** Members that were taken for dead, counted at every member. */
  readonly departures: number;
  /** Epochs that began: each is an election. */
  readonly elections: number;
  readonly requests: number;
  readonly failedRequests: number;
}

const BUSY_LOOPS_PER_CPU = 2;
const LOSS_PERCENT = 5;
/** Slow enough to be no load of its own. */
const PERIOD_MS = 20;
const REPORT_EVERY_MS = 60_000;

export type Trouble = "busy" | "loss";

const TROUBLES: Readonly<Record<Trouble, string>> = {
  busy: `${BUSY_LOOPS_PER_CPU} busy loops on each CPU`,
  loss: `${LOSS_PERCENT} % of all frames lost, each way of each link`,
};

/** Everything is removed when this process ends, also by a signal. */
export async function falseDetections(trouble: Trouble, options: SoakOptions): Promise<Soak> {
  const { members, seconds, say } = options;
  const cluster = await LabCluster.up({ name: `bs${process.pid}`, members, downOnExit: true });
  try {
    const result = await soak(cluster, TROUBLES[trouble], options, () =>
      trouble === "busy"
        ? startBusyLoops(cluster, seconds)
        : cluster.lab.faults.loss("all", LOSS_PERCENT),
    );
    say(
      `${result.name}: ${result.departures} departures, ${result.elections} elections, ` +
        `${result.failedRequests} of ${result.requests} requests failed`,
    );
    return result;
  } finally {
    await cluster.down();
  }
}

/** They end by themselves, whatever becomes of this process. */
async function startBusyLoops({ lab }: LabCluster, seconds: number): Promise<void> {
  const loop = ["timeout", String(seconds), "sh", "-c", "while :; do :; done"];
  for (let count = 0; count < BUSY_LOOPS_PER_CPU * os.availableParallelism(); count++) {
    lab.spawn(STANDARD.client, loop, { stdio: "ignore" });
  }
}

interface Mistakes {
  readonly departures: number;
  readonly epoch: number;
}

/** Departures since a time of day; nobody left, so each was a mistake. Members list the last 20 each. */
async function mistakes(cluster: LabCluster, since: number): Promise<Mistakes> {
  const all = await Promise.all(cluster.members.map((member) => cluster.status(member)));
  return {
    departures: all
      .flatMap(({ failovers }) => failovers)
      .filter(({ at }) => Date.parse(at) >= since).length,
    epoch: Math.max(...all.map(({ cluster: { epoch } }) => epoch)),
  };
}

async function soak(
  cluster: LabCluster,
  name: string,
  { seconds, say }: SoakOptions,
  makeTrouble: () => Promise<void>,
): Promise<Soak> {
  await cluster.settled();
  const since = Date.now();
  const before = await mistakes(cluster, since);
  const client = new ProbingClient(cluster.lab, [STANDARD.vip4, STANDARD.vip6], PERIOD_MS);
  await client.calm(STANDARD.vip4, 500);
  const beganAt = monotonicMs();
  await makeTrouble();
  for (let rest = seconds * 1000; rest > 0; rest -= REPORT_EVERY_MS) {
    await pause(Math.min(rest, REPORT_EVERY_MS));
    const { departures } = await mistakes(cluster, since);
    say(
      `${name}: ${departures} departures after ${seconds - Math.max(0, rest - REPORT_EVERY_MS) / 1000} s`,
    );
  }
  const after = await mistakes(cluster, since);
  const result = {
    name,
    departures: after.departures,
    elections: after.epoch - before.epoch,
    requests: client.attemptsSince(beganAt),
    failedRequests: client.failedSince(beganAt),
  };
  client.stop();
  return result;
}
