// Turns the samples of the traffic benchmark into rows, promises and a table: medians over the rounds. A ratio
// compares with the direct connection to as many servers in the same round, so that what else the machine has
// to do at that time weighs on both.
import { median, spread } from "./lib/statistics.ts";
import { renderTable } from "./lib/table.ts";
import type { Row, Suite } from "./suite.ts";
import { MEMBERS, type Way } from "./traffic-lab.ts";
import { LOADS, type Load, type Sample } from "./traffic-load.ts";

export interface Measured {
  readonly load: Load;
  readonly way: Way;
  readonly samples: readonly Sample[];
}

export interface TrafficSuite extends Suite {
  /** For people, in place of the rows. */
  readonly text: string;
}

/** CPU time of a request at most this multiple of a direct one. */
const LIMITS: ReadonlyMap<string, number> = new Map([
  [LOADS.connections.name, 1.35],
  [LOADS.downloads.name, 1.05],
]);

/** Medians of one way under one load, and its cost as a multiple of the direct connection's. */
interface Line {
  readonly load: Load;
  readonly way: Way;
  readonly cpuUs: number;
  readonly spread: number;
  readonly ratio: number;
  readonly agentsUs: number;
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly target?: { readonly text: string; readonly met: boolean };
}

export interface TrafficPlan {
  readonly name: string;
  readonly title: string;
  readonly rounds: number;
  readonly seconds: number;
  readonly loads: readonly Load[];
  readonly largeFrames: boolean;
  /** Whether there are limits to what the cluster may cost. */
  readonly promises: boolean;
}

export function reportTraffic(measured: readonly Measured[], plan: TrafficPlan): TrafficSuite {
  const lines = linesOf(measured, plan);
  return {
    name: plan.name,
    title: plan.title,
    method: methodOf(measured, plan),
    rows: lines.flatMap(rowsOf),
    text: tableOf(lines, plan),
  };
}

function linesOf(measured: readonly Measured[], plan: TrafficPlan): Line[] {
  return measured.map((one) => {
    const { load, way, samples } = one;
    const alike = measured.filter((other) => other.load === load);
    const direct = alike.find(
      (other) => other.way.kind === "direct" && other.way.servers === way.servers,
    );
    const ratio = median(
      samples.map(({ cpuUs }, round) => cpuUs / (direct?.samples[round]?.cpuUs ?? Number.NaN)),
    );
    const middle = (of: (sample: Sample) => number): number => median(samples.map(of));
    return {
      load,
      way,
      cpuUs: cost(one),
      spread: spread(samples.map(({ cpuUs }) => cpuUs)),
      ratio,
      agentsUs: middle((sample) => sample.agentsUs),
      requestsPerSecond: middle((sample) => sample.requestsPerSecond),
      p50Us: middle((sample) => sample.p50Us),
      p99Us: middle((sample) => sample.p99Us),
      ...(plan.promises && isPromised(way) ? { target: targetOf(one, ratio, alike) } : {}),
    };
  });
}

/** What is forwarded to one server has no balancer to compare with. */
const isPromised = (way: Way): boolean => way.kind === "cluster" && way.servers === 2;

const cost = ({ samples }: Measured): number => median(samples.map(({ cpuUs }) => cpuUs));

function targetOf(
  one: Measured,
  ratio: number,
  alike: readonly Measured[],
): NonNullable<Line["target"]> {
  const balancers = alike.filter(({ way }) => way.kind === "balancer").map(cost);
  const isBelow = cost(one) < Math.min(...balancers);
  const below = "below nftables, HAProxy and nginx";
  const limit = LIMITS.get(one.load.name);
  if (limit === undefined) return { text: below, met: isBelow };
  return { text: `≤ ${limit} × direct, ${below}`, met: ratio <= limit && isBelow };
}

function rowsOf(line: Line): Row[] {
  const name = `${line.load.name}, ${line.way.name}`;
  return [
    {
      name: `${name}: CPU`,
      value: line.cpuUs,
      unit: "µs/request",
      ratio: line.ratio,
      ...(line.target === undefined ? {} : { target: line.target }),
    },
    ...(line.way.kind === "cluster"
      ? [{ name: `${name}: CPU of the agents`, value: line.agentsUs, unit: "µs/request" }]
      : []),
    { name: `${name}: rate`, value: line.requestsPerSecond, unit: "requests/s" },
    { name: `${name}: p50`, value: line.p50Us, unit: "µs" },
    { name: `${name}: p99`, value: line.p99Us, unit: "µs" },
  ];
}

const HEADER = ["", "× direct", "CPU µs/req", "±", "agents", "req/s", "p50 µs", "p99 µs"];

function tableOf(lines: readonly Line[], plan: TrafficPlan): string {
  const tables = plan.loads.map((load) => {
    const own = lines.filter((line) => line.load.name === load.name);
    const rows = own.map((line) => [
      line.way.name,
      line.ratio.toFixed(2),
      line.cpuUs.toFixed(1),
      `${((line.spread * 100) / 2).toFixed(0)} %`,
      line.way.kind === "cluster" ? line.agentsUs.toFixed(1) : "",
      line.requestsPerSecond.toFixed(0),
      line.p50Us.toFixed(0),
      line.p99Us.toFixed(0),
    ]);
    const targets = own.flatMap(({ way, target }) =>
      target === undefined
        ? []
        : [`${target.met ? "met   " : "MISSED"}  ${way.name}: ${target.text}`],
    );
    const [, ...header] = HEADER;
    return [renderTable([load.name, ...header], rows), ...targets].join("\n");
  });
  return tables.join("\n\n");
}

function methodOf(measured: readonly Measured[], plan: TrafficPlan): string[] {
  const { rounds, seconds, largeFrames } = plan;
  const samples = measured.flatMap((one) => one.samples);
  const idle = median(samples.map(({ agentsCpu }) => agentsCpu)) * 100;
  return [
    `wrk with 64 connections, ${rounds} rounds of ${seconds} s in turn; medians; ± is half the range`,
    "CPU time of client, servers, balancers, softirqs and, for the cluster, agents (also told apart)",
    "two nginx servers of one worker each, in the last two rows one; × direct: to as many servers",
    `frames of ${largeFrames ? "up to 64 KiB, as no wire has them" : "at most the MTU, as on a wire"}; Reno everywhere`,
    `the ${MEMBERS} agents use ${idle.toFixed(1)} % of one CPU together, whatever the traffic`,
  ];
}
