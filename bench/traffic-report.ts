// Turns the samples of the traffic benchmark into rows, promises and a table. Medians over the rounds; every
// ratio is to the direct connection of the same run.
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
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly target?: { readonly text: string; readonly met: boolean };
}

export function reportTraffic(
  measured: readonly Measured[],
  plan: { readonly rounds: number; readonly seconds: number },
): TrafficSuite {
  const lines = linesOf(measured);
  return {
    name: "traffic",
    title: "Traffic: CPU time of a request, beside a direct connection and other balancers",
    method: methodOf(measured, plan),
    rows: lines.flatMap(rowsOf),
    text: tableOf(lines),
  };
}

function linesOf(measured: readonly Measured[]): Line[] {
  const cost = ({ samples }: Measured): number => median(samples.map(({ cpuUs }) => cpuUs));
  return measured.map((one) => {
    const { load, way, samples } = one;
    const others = measured.filter((other) => other.load === load && other.way !== way);
    const direct = measured.find((other) => other.load === load && other.way.kind === "direct");
    const ratio = cost(one) / (direct === undefined ? Number.NaN : cost(direct));
    const balancers = others.filter((other) => other.way.kind === "balancer").map(cost);
    const middle = (of: (sample: Sample) => number): number => median(samples.map(of));
    return {
      load,
      way,
      cpuUs: cost(one),
      spread: spread(samples.map(({ cpuUs }) => cpuUs)),
      ratio,
      requestsPerSecond: middle((sample) => sample.requestsPerSecond),
      p50Us: middle((sample) => sample.p50Us),
      p99Us: middle((sample) => sample.p99Us),
      ...(way.kind === "cluster"
        ? { target: targetOf(load, ratio, cost(one) < Math.min(...balancers)) }
        : {}),
    };
  });
}

function targetOf(load: Load, ratio: number, belowOthers: boolean): NonNullable<Line["target"]> {
  const limit = LIMITS.get(load.name);
  const below = "below nftables, HAProxy and nginx";
  if (limit === undefined) return { text: below, met: belowOthers };
  return { text: `≤ ${limit} × direct, ${below}`, met: ratio <= limit && belowOthers };
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
    { name: `${name}: rate`, value: line.requestsPerSecond, unit: "requests/s" },
    { name: `${name}: p50`, value: line.p50Us, unit: "µs" },
    { name: `${name}: p99`, value: line.p99Us, unit: "µs" },
  ];
}

const HEADER = ["", "× direct", "CPU µs/req", "±", "req/s", "p50 µs", "p99 µs"];

function tableOf(lines: readonly Line[]): string {
  const tables = Object.values(LOADS).map((load) => {
    const own = lines.filter((line) => line.load.name === load.name);
    const rows = own.map((line) => [
      line.way.name,
      line.ratio.toFixed(2),
      line.cpuUs.toFixed(1),
      `${((line.spread * 100) / 2).toFixed(0)} %`,
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

function methodOf(
  measured: readonly Measured[],
  { rounds, seconds }: { readonly rounds: number; readonly seconds: number },
): string[] {
  const samples = measured.flatMap((one) => one.samples);
  const idle = median(samples.map(({ agentsCpu }) => agentsCpu)) * 100;
  return [
    `wrk with 64 connections, ${rounds} round(s) of ${seconds} s in turn, median; ± is half the range`,
    "CPU time of client, servers, balancers, softirqs and (for the cluster) agents, by control groups",
    "two nginx servers of one worker each, except direct and all-forwarded: one; all on one switch",
    `the ${MEMBERS} agents use ${idle.toFixed(1)} % of one CPU together, whatever the load`,
  ];
}
