// One measured load: wrk in the client's host, and the CPU time that everybody needed for it.
import path from "node:path";
import { STANDARD } from "#lab/standard.ts";
import { elapsed } from "./lib/cpu-groups.ts";
import type { TrafficLab, Way } from "./traffic-lab.ts";

/** A kind of traffic. */
export interface Load {
  readonly name: string;
  readonly path: string;
  readonly headers: readonly string[];
}

export const LOADS = {
  requests: { name: "requests", path: "/whoami", headers: [] },
  connections: { name: "new connections", path: "/whoami", headers: ["Connection: close"] },
  downloads: { name: "64-KiB responses", path: "/64k", headers: [] },
} as const satisfies Record<string, Load>;

export interface Sample {
  readonly requestsPerSecond: number;
  readonly p50Us: number;
  readonly p99Us: number;
  /** CPU time of client, servers and whoever is between them, for one request. */
  readonly cpuUs: number;
  /** Of that: ksoftirqd, which also works for others. */
  readonly ksoftirqdUs: number;
  /** Of that: the agents, which work at the same pace when nobody asks for anything; 0 if not on the way. */
  readonly agentsUs: number;
  /** All agents together, as a share of one CPU, whether they are on the way or not. */
  readonly agentsCpu: number;
}

const CONNECTIONS = 64;
const REPORT = path.join(import.meta.dirname, "wrk-report.lua");
const LONGEST_REQUEST_MS = 5000;

/** What wrk-report.lua prints. */
interface Report {
  readonly requests: number;
  readonly durationUs: number;
  readonly p50Us: number;
  readonly p99Us: number;
  readonly errors: number;
}

/** Throws when a request failed: the cost of something that does not work is of no interest. */
export async function measure(
  { cluster, groups }: TrafficLab,
  way: Way,
  { load, seconds }: { readonly load: Load; readonly seconds: number },
): Promise<Sample> {
  const headers = load.headers.flatMap((header) => ["-H", header]);
  const options = ["-t1", `-c${CONNECTIONS}`, `-d${seconds}s`, "-s", REPORT, ...headers];
  const argv = groups.within("client", ["wrk", ...options, `${way.url}${load.path}`]);
  const before = groups.read();
  const { status, stdout, stderr } = await cluster.lab.exec(STANDARD.client, argv, {
    timeoutMs: seconds * 1000 + LONGEST_REQUEST_MS,
  });
  const used = elapsed(before, groups.read());
  const report = /^REPORT (.*)$/m.exec(stdout)?.[1];
  if (status !== 0 || report === undefined) {
    throw new Error(`wrk failed (${way.name}, ${load.name}): ${stdout}${stderr}`);
  }
  const { requests, durationUs, p50Us, p99Us, errors } = JSON.parse(report) as Report;
  if (requests === 0 || errors > 0) {
    throw new Error(`${way.name}, ${load.name}: ${errors} errors in ${requests} requests`);
  }
  const { agents = 0, ...others } = used.groups;
  const agentsNs = way.kind === "cluster" ? agents : 0;
  const cpuNs = Object.values(others).reduce((sum, ns) => sum + ns, used.ksoftirqdNs + agentsNs);
  return {
    requestsPerSecond: requests / (durationUs / 1e6),
    p50Us,
    p99Us,
    cpuUs: cpuNs / 1000 / requests,
    ksoftirqdUs: used.ksoftirqdNs / 1000 / requests,
    agentsUs: agentsNs / 1000 / requests,
    agentsCpu: agents / 1000 / durationUs,
  };
}
