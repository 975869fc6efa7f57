// Numbers as people read them in a table, three digits and a unit, and times as they type them.
import { InvalidArgumentError } from "commander";

const PREFIXES = ["", "k", "M", "G", "T", "P"];

/** 0, 12, 1.23k, 5.60M: decimal prefixes, three significant digits from 1000 on. */
export function formatCount(value: number): string {
  let scaled = value;
  let prefix = 0;
  // 999.5 would be rounded to four digits below
  while (scaled >= 999.5 && prefix < PREFIXES.length - 1) {
    scaled /= 1000;
    prefix += 1;
  }
  if (prefix === 0) return String(Math.round(value));
  return `${scaled.toPrecision(3)}${PREFIXES[prefix] ?? ""}`;
}

/** Bytes a second: "5.60 MB/s". */
export function formatByteRate(bytesPerSecond: number): string {
  const [, digits = "0", prefix = ""] = /^([\d.]+)(\D?)$/.exec(formatCount(bytesPerSecond)) ?? [];
  return `${digits} ${prefix}B/s`;
}

/** The two largest units: "31 ms", "4.2 s", "3m 05s", "1h 02m", "2d 03h". */
export function formatDuration(exactMs: number): string {
  const ms = Math.round(exactMs);
  if (ms < 1000) return `${ms} ms`;
  const seconds = Math.floor(ms / 1000);
  if (seconds < 60) return `${(Math.floor(ms / 100) / 10).toFixed(1)} s`;
  const pair = (large: number, unit: string, small: number, sub: string): string =>
    `${large}${unit} ${String(small).padStart(2, "0")}${sub}`;
  const minutes = Math.floor(seconds / 60);
  if (minutes < 60) return pair(minutes, "m", seconds % 60, "s");
  const hours = Math.floor(minutes / 60);
  if (hours < 24) return pair(hours, "h", minutes % 60, "m");
  return pair(Math.floor(hours / 24), "d", hours % 24, "h");
}

/** 0.0125 as "1.25 %". */
export const formatRatio = (ratio: number): string => `${Number((ratio * 100).toFixed(2))} %`;

const UNITS: Readonly<Record<string, number>> = { ms: 1, s: 1000, m: 60_000, h: 3_600_000 };

/** "500ms", "60s", "10m", "2h" in milliseconds. A number alone is refused: it could be seconds or milliseconds. */
export function parseDuration(text: string): number {
  const [, digits, unit = ""] = /^(\d{1,9})(ms|s|m|h)$/.exec(text.trim()) ?? [];
  const factor = UNITS[unit];
  if (digits === undefined || factor === undefined) {
    throw new InvalidArgumentError("write a whole number and ms, s, m or h, as in 60s");
  }
  return Number(digits) * factor;
}
