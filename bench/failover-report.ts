// Many failovers in a few numbers, as rows for programs and as a table for people.
import type { Outage } from "./failover-attempts.ts";
import { median, percentile } from "./lib/statistics.ts";
import { renderTable } from "./lib/table.ts";
import type { Row } from "./suite.ts";

/** Deaths of one kind under one setting. */
export interface Timed {
  readonly name: string;
  /** Those that did not end count as long as they were watched. */
  readonly outages: readonly Outage[];
  /** What the median must not exceed. */
  readonly promisedMs?: number;
}

interface Summary {
  readonly medianMs: number;
  readonly p99Ms: number;
  readonly maxMs: number;
  /** Median of one death. */
  readonly failedAttempts: number;
  readonly target?: { readonly text: string; readonly met: boolean };
}

function summaryOf({ outages, promisedMs }: Timed): Summary {
  const times = outages.map(({ ms }) => ms);
  const medianMs = median(times);
  const allEnded = outages.every(({ ended }) => ended);
  const summary = {
    medianMs,
    p99Ms: percentile(times, 99),
    maxMs: Math.max(...times),
    failedAttempts: median(outages.map(({ failed }) => failed)),
  };
  if (promisedMs === undefined) return summary;
  const met = medianMs <= promisedMs && allEnded;
  return { ...summary, target: { text: `median at most ${promisedMs} ms`, met } };
}

export function outageRows(timed: Timed): Row[] {
  const { name } = timed;
  const { medianMs, p99Ms, maxMs, failedAttempts, target } = summaryOf(timed);
  const notOver = timed.outages.filter(({ ended }) => !ended).length;
  const promise = target === undefined ? {} : { target };
  return [
    { name: `${name}: median`, value: medianMs, unit: "ms", ...promise },
    { name: `${name}: p99`, value: p99Ms, unit: "ms" },
    { name: `${name}: max`, value: maxMs, unit: "ms" },
    { name: `${name}: not over when watching ended`, value: notOver, unit: "deaths" },
    { name: `${name}: failed attempts`, value: failedAttempts, unit: "attempts" },
  ];
}

const verdict = (target: Row["target"]): string =>
  target === undefined ? "" : `${target.text}: ${target.met ? "met" : "MISSED"}`;

export function renderOutages(all: readonly Timed[]): string {
  const rows = all.map((timed) => {
    const { medianMs, p99Ms, maxMs, failedAttempts, target } = summaryOf(timed);
    // one that had not ended when watching did is only known to be longer
    const endless = timed.outages.filter(({ ended }) => !ended).map(({ ms }) => ms);
    const times = [medianMs, p99Ms, maxMs].map(
      (ms) => `${endless.some((shortest) => shortest <= ms) ? "> " : ""}${ms.toFixed(0)}`,
    );
    return [
      timed.name,
      String(timed.outages.length),
      ...times,
      failedAttempts.toFixed(0),
      verdict(target),
    ];
  });
  const header = ["not served for, ms", "deaths", "median", "p99", "max", "failed attempts", ""];
  return renderTable(header, rows);
}

export const renderCounts = (rows: readonly Row[]): string =>
  renderTable(
    ["what must not happen", "count", ""],
    rows.map(({ name, value, target }) => [name, value.toFixed(0), verdict(target)]),
  );
