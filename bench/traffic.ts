// What a request costs through the cluster, beside a direct connection and beside the load balancers that
// people use: CPU time of all who take part, because wall time says little on a shared machine. Every round
// measures every way, each time beginning with another, so that what disturbs one round disturbs all alike.
import { withCpuGroups } from "./lib/cpu-groups.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { CPU_GROUPS, TrafficLab, type Way } from "./traffic-lab.ts";
import { LOADS, measure, type Sample } from "./traffic-load.ts";
import {
  reportTraffic,
  type Measured,
  type TrafficPlan,
  type TrafficSuite,
} from "./traffic-report.ts";

const FULL = { rounds: 8, seconds: 2 };
const QUICK = { rounds: 2, seconds: 1 };
const WARM_UP_SECONDS = 1;

export function traffic(options: SuiteOptions): Promise<TrafficSuite> {
  return run(options, {
    name: "traffic",
    title: "Traffic: CPU time of a request, beside a direct connection and other balancers",
    loads: Object.values(LOADS),
    largeFrames: false,
    promises: true,
    ...(options.quick ? QUICK : FULL),
  });
}

/** The same where frames are as large as responses: what the lab's links do unless they are told not to. */
export function trafficOffloads(options: SuiteOptions): Promise<TrafficSuite> {
  return run(options, {
    name: "traffic-offloads",
    title: "Traffic in frames of 64 KiB: CPU time of a response",
    loads: [LOADS.downloads],
    largeFrames: true,
    promises: false,
    ...(options.quick ? QUICK : FULL),
  });
}

const run = ({ say }: SuiteOptions, plan: TrafficPlan): Promise<TrafficSuite> =>
  withCpuGroups(CPU_GROUPS, async (groups) => {
    say("bringing up the lab: two plain servers, three balancers, a cluster of two");
    const lab = await TrafficLab.up(groups, plan);
    try {
      return reportTraffic(await rounds(lab, plan, say), plan);
    } finally {
      await lab.down();
    }
  });

async function rounds(
  lab: TrafficLab,
  { rounds: count, seconds, loads }: TrafficPlan,
  say: SuiteOptions["say"],
): Promise<Measured[]> {
  const measured = loads.flatMap((load) =>
    lab.ways.map((way) => ({ load, way, samples: [] as Sample[] })),
  );
  // caches, neighbour tables and the servers' connections are warm when the first round begins
  for (const { way, load } of measured) await measure(lab, way, { load, seconds: WARM_UP_SECONDS });
  for (let round = 0; round < count; round++) {
    for (const load of loads) {
      for (const way of rotate(lab.ways, round)) {
        const sample = await measure(lab, way, { load, seconds });
        measured.find((one) => one.load === load && one.way === way)?.samples.push(sample);
      }
    }
    say(`round ${round + 1} of ${count} done`);
  }
  return measured;
}

const rotate = (ways: readonly Way[], by: number): Way[] => [
  ...ways.slice(by % ways.length),
  ...ways.slice(0, by % ways.length),
];
