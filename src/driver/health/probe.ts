// What a health check does (B7), as a value, and its result. Each kind has a file of its own; all of them run on the node itself, end
// after their timeout, and never reject: whatever goes wrong is what was found.
import type { CheckResult } from "#core/health/check.ts";
import type { HttpProbe } from "./http-probe.ts";
import { probeHttp } from "./http-probe.ts";
import { probeScript, type ScriptProbe } from "./script-probe.ts";
import { probeTcp, type TcpProbe } from "./tcp-probe.ts";
import { probeUdp, type UdpProbe } from "./udp-probe.ts";

export type Probe = TcpProbe | HttpProbe | UdpProbe | ScriptProbe;

export interface ProbeLimits {
  readonly timeoutMs: number;
  /** Ends it early; what it then found is of no interest. */
  readonly signal: AbortSignal;
}

export function runProbe(probe: Probe, limits: ProbeLimits): Promise<CheckResult> {
  switch (probe.type) {
    case "tcp":
      return probeTcp(probe, limits);
    case "http":
      return probeHttp(probe, limits);
    case "udp":
      return probeUdp(probe, limits);
    case "script":
      return probeScript(probe, limits);
  }
}
