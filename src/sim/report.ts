// What a batch of runs comes to, for people and as one JSON object.
import { execFileSync } from "node:child_process";
import type { Failure, RunResult } from "./simulation.ts";

export interface Totals {
  seeds: number;
  simulatedMs: number;
  events: number;
  /** Of this process. */
  cpuMs: number;
  counts: Record<string, number>;
}

export const noTotals = (): Totals => ({
  seeds: 0,
  simulatedMs: 0,
  events: 0,
  cpuMs: 0,
  counts: {},
});

export function addTo(totals: Totals, { simulatedMs, events, counts }: RunResult): void {
  totals.seeds += 1;
  totals.simulatedMs += simulatedMs;
  totals.events += events;
  addCounts(totals.counts, counts);
}

export function addCounts(
  totals: Record<string, number>,
  counts: Readonly<Record<string, number>>,
): void {
  for (const [name, count] of Object.entries(counts)) {
    const before = totals[name] ?? 0;
    totals[name] = name.startsWith("slowest") ? Math.max(before, count) : before + count;
  }
}

export const countsText = (counts: Readonly<Record<string, number>>): string =>
  Object.entries(counts)
    .map(([name, count]) => `${name} ${count}`)
    .join(", ");

export const hours = (ms: number): number => ms / 3_600_000;

export function summary({ seeds, simulatedMs, events, cpuMs, counts }: Totals) {
  return {
    seeds,
    simulatedHours: Number(hours(simulatedMs).toFixed(2)),
    events,
    eventsPerSecond: Math.round((events / Math.max(cpuMs, 1)) * 1000),
    simulatedHoursPerCpuHour: Math.round(simulatedMs / Math.max(cpuMs, 1)),
    cpuSeconds: Number((cpuMs / 1000).toFixed(1)),
    counts,
  };
}

export function summaryText(totals: Totals): string {
  const { seeds, simulatedHours, eventsPerSecond, simulatedHoursPerCpuHour, cpuSeconds, counts } =
    summary(totals);
  return [
    `${seeds} seeds, ${simulatedHours} simulated cluster-hours in ${cpuSeconds} s of processor time`,
    `${eventsPerSecond} events/s, ${simulatedHoursPerCpuHour} simulated hours per CPU hour`,
    countsText(counts),
  ].join("\n");
}

/** Which sources these are; "unknown" where there is no git. */
export function commit(): string {
  try {
    const options = { encoding: "utf8", stdio: "pipe" } as const;
    return execFileSync("git", ["rev-parse", "--short=12", "HEAD"], options).trim();
  } catch {
    return "unknown";
  }
}

export function failureText(seed: number, command: string, failure: Failure): string {
  return [
    ...failure.transcript,
    "",
    `VIOLATION of ${failure.checker} after ${(failure.atMs / 1000).toFixed(3)} simulated seconds`,
    `  ${failure.message}`,
    `  seed ${seed}, commit ${commit()}; replay: ${command}`,
  ].join("\n");
}
