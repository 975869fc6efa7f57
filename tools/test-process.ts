// Runs test files in one process with a time limit, and says what came of it, also when the process hangs, crashes, or ends in the
// middle with status 0. What it leaves on the machine is removed, and is a failure too.
import { type ChildProcess, spawn } from "node:child_process";
import { randomUUID } from "node:crypto";
import { existsSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { root } from "./steps.ts";
import { TALLY_FILE, type TallyLine } from "./tally-reporter.ts";
import { MARK, marked, removeLeftovers } from "./test-leftovers.ts";

/** A test that waits in vain fails after this. */
const TEST_LIMIT_MS = 180_000;
/** Asked to end, tests take their labs down themselves; afterwards they are killed. */
const ENDING_MS = 20_000;
/** Processes that were told to end before their test did. */
const LINGERING_MS = 3000;

export interface TestProcess {
  readonly files: readonly string[];
  readonly limitMs: number;
  /** Where the reporter writes; overwritten. */
  readonly tallyFile: string;
  /** Only tests whose name matches. */
  readonly only?: string | undefined;
  /** Ends it early, as the limit does. */
  readonly signal?: AbortSignal | undefined;
  /** Time to end when asked to; default 20 s. */
  readonly endingMs?: number;
  /** Shows nothing of what the tests print. */
  readonly quiet?: boolean;
}

export interface Outcome {
  readonly passed: number;
  readonly skipped: number;
  /** One each: names of failed tests, and whatever else went wrong. */
  readonly failures: readonly string[];
  readonly tookMs: number;
  /** Sum over the tests of a file. */
  readonly msByFile: ReadonlyMap<string, number>;
}

export async function runTests(request: TestProcess): Promise<Outcome> {
  const { tallyFile } = request;
  rmSync(tallyFile, { force: true });
  const mark = randomUUID();
  const began = performance.now();
  const child = start(request, mark);
  const { cause, pids } = await untilEnded(child, request, mark);
  const tookMs = performance.now() - began;
  const left = await removeLeftovers(mark, pids, request.endingMs ?? LINGERING_MS);
  const lines = readTally(tallyFile);
  const failures = lines.flatMap((line) => (line.type === "failed" ? [line.name] : []));
  const wrong = cause ?? flaw(child, lines, request);
  if (wrong !== undefined) failures.push(wrong);
  if (left.length > 0) failures.push(`left behind, and removed now: ${left.join(", ")}`);
  const count = (type: TallyLine["type"]): number =>
    lines.filter((line) => line.type === type).length;
  return {
    ...{ passed: count("passed"), skipped: count("skipped"), failures, tookMs },
    msByFile: timesOf(lines),
  };
}

function start({ files, only, tallyFile, quiet = false }: TestProcess, mark: string): ChildProcess {
  const env: NodeJS.ProcessEnv = { ...process.env, [MARK]: mark, [TALLY_FILE]: tallyFile };
  // Inherited, it would make the inner run skip every test and still exit 0.
  delete env["NODE_TEST_CONTEXT"];
  const options = [
    ...["--test", "--test-isolation=none", `--test-timeout=${TEST_LIMIT_MS}`],
    ...["--test-reporter=spec", "--test-reporter-destination=stdout"],
    `--test-reporter=${path.join(import.meta.dirname, "tally-reporter.ts")}`,
    "--test-reporter-destination=stderr",
    ...(only === undefined ? [] : [`--test-name-pattern=${only}`]),
  ];
  return spawn(process.execPath, [...options, ...files], {
    cwd: root,
    env,
    stdio: quiet ? "ignore" : ["ignore", "inherit", "inherit"],
  });
}

interface Ending {
  /** Why it was ended; undefined when it ended by itself. */
  readonly cause: string | undefined;
  /** Of the test process and of those that it had when it was ended. */
  readonly pids: readonly number[];
}

/** Ended by itself, or else: asked to end, then killed. */
async function untilEnded(
  child: ChildProcess,
  request: TestProcess,
  mark: string,
): Promise<Ending> {
  const { limitMs, signal, tallyFile, endingMs = ENDING_MS } = request;
  let cause: string | undefined;
  const pids = child.pid === undefined ? [] : [child.pid];
  let kill: NodeJS.Timeout | undefined;
  const end = (why: string): void => {
    cause ??= `${why}${placeIn(readTally(tallyFile))}`;
    pids.push(...marked(mark).map(({ pid }) => pid));
    child.kill("SIGTERM");
    kill = setTimeout(() => child.kill("SIGKILL"), endingMs);
  };
  const limit = setTimeout(() => end(`not done within ${limitMs / 1000} s`), limitMs);
  const abort = (): void => end("interrupted");
  signal?.addEventListener("abort", abort, { once: true });
  await new Promise<void>((resolve) => {
    child.once("error", (error) => {
      cause = error.message;
      resolve();
    });
    child.once("exit", () => resolve());
  });
  clearTimeout(limit);
  clearTimeout(kill);
  signal?.removeEventListener("abort", abort);
  return { cause, pids };
}

function readTally(file: string): TallyLine[] {
  if (!existsSync(file)) return [];
  return readFileSync(file, "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}")) // the last line of a killed process may be cut
    .map((line) => JSON.parse(line) as TallyLine);
}

/** What is wrong beyond failed tests. */
function flaw(
  child: ChildProcess,
  lines: readonly TallyLine[],
  request: TestProcess,
): string | undefined {
  const { exitCode, signalCode } = child;
  const how = signalCode === null ? `with status ${exitCode}` : `by ${signalCode}`;
  if (lines.at(-1)?.type !== "end") {
    return `the process ended ${how} before its tests did${placeIn(lines)}`;
  }
  const has = (type: TallyLine["type"]): boolean => lines.some((line) => line.type === type);
  if (exitCode !== 0 && !has("failed")) return `no test failed, but the process ended ${how}`;
  const isEmpty = !has("passed") && !has("failed") && !has("skipped");
  return isEmpty && request.only === undefined ? "there are no tests in it" : undefined;
}

/** Which tests had begun and have no result, the outermost first. */
function placeIn(lines: readonly TallyLine[]): string {
  const running: string[] = [];
  for (const line of lines) {
    if (line.type === "begun") running.push(line.name);
    if (line.type === "took" || line.type === "end" || line.type === "begun") continue;
    const index = running.lastIndexOf(line.name);
    if (index >= 0) running.splice(index, 1);
  }
  return running.length === 0 ? "" : `, in "${running.join('" > "')}"`;
}

function timesOf(lines: readonly TallyLine[]): Map<string, number> {
  const times = new Map<string, number>();
  for (const line of lines) {
    if (line.type === "took") times.set(line.file, (times.get(line.file) ?? 0) + line.ms);
  }
  return times;
}
