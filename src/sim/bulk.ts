// `npm run sim -- --hours H`: seed after seed until so many cluster-hours have been simulated. How many nodes a run has and how long
// it takes follow from its seed, so each can be run again on its own. What was done is appended to a file, a line a minute, so that
// a batch that is interrupted goes on where it stopped.
import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { Prng } from "#base/prng.ts";
import { type BulkOptions, UsageError } from "./options.ts";
import {
  addCounts,
  addTo,
  commit,
  countsText,
  failureText,
  hours,
  noTotals,
  summary,
} from "./report.ts";
import { runInOrder } from "./lanes.ts";
import type { RunResult, RunSettings } from "./simulation.ts";

const SAY_EVERY_MS = 60_000;
const SHORTEST_MINUTES = 5;
const LONGEST_MINUTES = 60;
const MINUTE_MS = 60_000;

export interface Found {
  readonly replay: string;
  readonly checker: string;
  readonly message: string;
}

/** One line of the file: seeds from `first` up to `next`, which is the one to go on with. */
export interface LogLine extends ReturnType<typeof summary> {
  readonly commit: string;
  readonly first: number;
  readonly next: number;
  readonly violations: readonly Found[];
}

/** What a seed means here. */
export function settingsOf(seed: number, { least, most }: BulkOptions["nodes"]): RunSettings {
  const prng = new Prng(seed ^ 0xb01c);
  const nodes = least + prng.below(most - least + 1);
  return {
    seed,
    nodes,
    minutes: SHORTEST_MINUTES + prng.below(LONGEST_MINUTES + 1 - SHORTEST_MINUTES),
  };
}

export const replayOf = ({ seed, nodes, minutes }: RunSettings): string =>
  `npm run sim -- --seed ${seed} --nodes ${nodes} --minutes ${minutes}`;

function lineIn(text: string): LogLine | undefined {
  try {
    const line = JSON.parse(text) as Partial<LogLine> | null;
    return typeof line?.next === "number" ? (line as LogLine) : undefined;
  } catch {
    return undefined; // whoever asks says which line it was
  }
}

/** The lines of a file that earlier batches have written. */
export function linesOf(file: string | undefined): LogLine[] {
  if (file === undefined || !existsSync(file)) return [];
  const texts = readFileSync(file, "utf8").split("\n");
  return texts.flatMap((text, index) => {
    if (text === "") return [];
    const line = lineIn(text);
    if (line !== undefined) return [line];
    const where = `line ${index + 1} of ${file}`;
    throw new UsageError(`${where} was not written by this command: name another file with --log`);
  });
}

/** Of several lines. */
function together(lines: readonly LogLine[]): string {
  const sum = (of: (line: LogLine) => number): number =>
    lines.reduce((total, line) => total + of(line), 0);
  const [done, cpuSeconds] = [sum((line) => line.simulatedHours), sum((line) => line.cpuSeconds)];
  const perCpuSecond = (amount: number): number => Math.round(amount / Math.max(cpuSeconds, 0.1));
  return [
    `${done.toFixed(1)} cluster-hours, ${sum(({ seeds }) => seeds)} seeds`,
    `${perCpuSecond(sum(({ events }) => events))} events/s`,
    `${perCpuSecond(done * 3600)} simulated hours per CPU hour`,
    `${sum(({ violations }) => violations.length)} violations`,
  ].join(", ");
}

/** What has been done, in lines. */
class Ledger {
  readonly lines: LogLine[] = [];
  readonly #log: string | undefined;
  #first: number;
  #totals = noTotals();
  #violations: Found[] = [];
  #cpu = process.cpuUsage();
  #sinceMs = performance.now();

  constructor(log: string | undefined, first: number) {
    this.#log = log;
    this.#first = first;
  }

  get isLineDue(): boolean {
    return performance.now() - this.#sinceMs > SAY_EVERY_MS;
  }

  ran(result: RunResult, violation: Found | undefined): void {
    addTo(this.#totals, result);
    if (violation !== undefined) this.#violations.push(violation);
  }

  /** Writes what was done since the last line. @param next the seed to go on with */
  close(next: number): void {
    if (this.#first === next) return;
    const { user, system } = process.cpuUsage(this.#cpu);
    this.#totals.cpuMs = (user + system) / 1000;
    const done = summary(this.#totals);
    const violations = this.#violations;
    const line = { commit: commit(), first: this.#first, next, ...done, violations };
    this.lines.push(line);
    if (this.#log !== undefined) appendFileSync(this.#log, `${JSON.stringify(line)}\n`);
    this.#first = next;
    this.#totals = noTotals();
    this.#violations = [];
    this.#cpu = process.cpuUsage();
    this.#sinceMs = performance.now();
  }
}

export interface Bulk {
  readonly options: BulkOptions;
  readonly isStopped: () => boolean;
  readonly say: (text: string) => void;
}

/** Where to begin: as told, or where the file ends. */
function firstSeed({ options, say }: Bulk): number {
  const { log } = options;
  const earlier = linesOf(log);
  const first = options.firstSeed ?? earlier.at(-1)?.next ?? 1;
  if (earlier.length > 0) say(`${log} holds ${together(earlier)}; going on with seed ${first}`);
  return first;
}

/** The lines of this batch. */
export async function runHours(bulk: Bulk): Promise<LogLine[]> {
  const { options, isStopped, say } = bulk;
  const first = firstSeed(bulk);
  const ledger = new Ledger(options.log, first);
  let [seed, doneMs, plannedMs, isOver] = [first, 0, 0, false];
  const next = (): RunSettings | undefined => {
    if (isOver || isStopped() || hours(doneMs + plannedMs) >= options.hours) return undefined;
    const settings = settingsOf(seed, options.nodes);
    seed += 1;
    plannedMs += settings.minutes * MINUTE_MS;
    return settings;
  };
  const done = (settings: RunSettings, result: RunResult): void => {
    const { failure } = result;
    const replay = replayOf(settings);
    if (failure !== undefined) say(failureText(settings.seed, replay, failure));
    ledger.ran(result, failure && { replay, checker: failure.checker, message: failure.message });
    doneMs += result.simulatedMs;
    plannedMs -= settings.minutes * MINUTE_MS;
    isOver ||= failure !== undefined && !options.keepGoing;
    if (!ledger.isLineDue) return;
    ledger.close(settings.seed + 1);
    say(`… ${together(ledger.lines)}; next seed ${settings.seed + 1}`);
  };
  await runInOrder({ workers: options.workers, next, done });
  ledger.close(seed);
  return ledger.lines;
}

export function bulkText(lines: readonly LogLine[]): string {
  const counts: Record<string, number> = {};
  for (const line of lines) addCounts(counts, line.counts);
  const replays = lines.flatMap(({ violations }) =>
    violations.map(({ checker, replay }) => `VIOLATION of ${checker}: ${replay}`),
  );
  const next = lines.at(-1)?.next;
  return [
    ...replays,
    together(lines),
    countsText(counts),
    ...(next === undefined ? [] : [`to go on: --first-seed ${next}`]),
  ].join("\n");
}
