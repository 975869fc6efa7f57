// `npm test [-- unit|kernel|lab|FILE...] [-- --only PATTERN]`: static checks, then every test, then the closing line.
//
// unit   beside the sources, and a moment of each fuzzer; one process for all files; needs no root but uses it where it can
// kernel real eBPF and namespaces, a process for each file, one after another
// lab    whole clusters, likewise
import { globSync, mkdirSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { root, staticChecks } from "./steps.ts";
import { type Outcome, runTests } from "./test-process.ts";
import { TestReport } from "./test-report.ts";

interface Suite {
  readonly name: string;
  readonly globs: readonly string[];
  readonly process: "one for all" | "one for each file";
  /** A process that hangs is ended then, and counts as failed: no run goes on for ever. */
  readonly limitMs: number;
}

const MINUTE_MS = 60_000;
const FILE_LIMIT_MS = 5 * MINUTE_MS;

const SUITES: readonly Suite[] = [
  {
    name: "unit",
    globs: ["src/**/*.test.ts", "tools/**/*.test.ts", "fuzz/**/*.test.ts"],
    process: "one for all",
    limitMs: 10 * MINUTE_MS,
  },
  {
    name: "kernel",
    globs: ["test/kernel/**/*.test.ts"],
    process: "one for each file",
    limitMs: FILE_LIMIT_MS,
  },
  {
    name: "lab",
    globs: ["test/lab/**/*.test.ts"],
    process: "one for each file",
    limitMs: FILE_LIMIT_MS,
  },
];

/** What has not begun by then is not run, and counts as failed; with the last process it is within half an hour. */
const RUN_LIMIT_MS = 45 * MINUTE_MS;

const tallyFolder = path.join(root, ".cache/tally");

interface Job {
  readonly name: string;
  readonly files: readonly string[];
  readonly limitMs: number;
}

const isFile = (word: string): boolean => word.endsWith(".ts");

/** @param words names of suites, and files; none: everything */
function jobsOf(words: readonly string[]): Job[] {
  const known = new Set(SUITES.map(({ name }) => name));
  const stray = words.find((word) => !isFile(word) && !known.has(word));
  if (stray !== undefined) {
    console.error(`"${stray}" is no suite and no test file; there are ${[...known].join(", ")}`);
    process.exit(2);
  }
  const suites = SUITES.filter(({ name }) => words.length === 0 || words.includes(name));
  const chosen = suites.flatMap((suite): Job[] => {
    const files = globSync(suite.globs, { cwd: root }).sort();
    const { limitMs } = suite;
    if (suite.process === "one for all") return [{ name: suite.name, files, limitMs }];
    return files.map((file) => ({ name: file, files: [file], limitMs }));
  });
  const single = words.filter(isFile);
  return [
    ...chosen,
    ...single.map((file) => ({ name: file, files: [file], limitMs: FILE_LIMIT_MS })),
  ];
}

/** Ctrl-C and the like end the running process as its limit would, so that what it has made is removed. */
function whenInterrupted(): { readonly signal: AbortSignal; status: () => number | undefined } {
  const abort = new AbortController();
  const statuses = { SIGINT: 130, SIGTERM: 143, SIGHUP: 129 } as const;
  let status: number | undefined;
  for (const [name, code] of Object.entries(statuses)) {
    process.on(name, () => {
      status ??= code;
      abort.abort();
    });
  }
  return { signal: abort.signal, status: () => status };
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string" }, "skip-checks": { type: "boolean", default: false } },
});
const jobs = jobsOf(positionals);
rmSync(tallyFolder, { recursive: true, force: true });
mkdirSync(tallyFolder, { recursive: true });

const began = performance.now();
const interrupted = whenInterrupted();
const report = new TestReport();
if (!values["skip-checks"] && !(await staticChecks())) report.failed("static checks");
for (const [index, { name, files, limitMs }] of jobs.entries()) {
  if (interrupted.signal.aborted) break;
  const late = performance.now() - began > RUN_LIMIT_MS;
  if (late) {
    report.failed(`${name}: not run, the whole took more than ${RUN_LIMIT_MS / MINUTE_MS} minutes`);
    continue;
  }
  console.log(`\n# ${name}`);
  const outcome: Outcome = await runTests({
    files,
    limitMs,
    tallyFile: path.join(tallyFolder, `${index}.jsonl`),
    only: values.only,
    signal: interrupted.signal,
  });
  report.add(name, outcome);
}
for (const line of report.lines(performance.now() - began)) console.log(line);
process.exitCode = interrupted.status() ?? (report.isGreen ? 0 : 1);
