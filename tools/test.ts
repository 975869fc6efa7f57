// `npm test [-- unit|lab|...] [-- --only PATTERN]`: static checks, then every test, then the closing line.
//
// unit   beside the sources, and a moment of each fuzzer; one process for all files; needs no root but uses it where it can
// kernel real eBPF and namespaces, one process a file, one after another
import { spawn } from "node:child_process";
import { existsSync, mkdirSync, readFileSync, rmSync } from "node:fs";
import path from "node:path";
import { parseArgs } from "node:util";
import { root, staticChecks } from "./steps.ts";
import type { Tally } from "./tally-reporter.ts";

interface Suite {
  readonly name: string;
  readonly globs: readonly string[];
  readonly isolation: "none" | "process";
}

const SUITES: readonly Suite[] = [
  {
    name: "unit",
    globs: ["src/**/*.test.ts", "tools/**/*.test.ts", "fuzz/**/*.test.ts"],
    isolation: "none",
  },
  { name: "kernel", globs: ["test/kernel/**/*.test.ts"], isolation: "process" },
  { name: "lab", globs: ["test/lab/**/*.test.ts"], isolation: "process" },
];

/** A test that waits in vain fails after this. */
const TEST_LIMIT_MS = 180_000;
/** A suite that hangs is ended, and counts as failed: no run goes on for ever. */
const SUITE_LIMIT_MS = 15 * 60_000;

const tallyFolder = path.join(root, ".cache/tally");

function testArguments(suite: Suite, only: string | undefined): string[] {
  return [
    "--test",
    `--test-isolation=${suite.isolation}`,
    "--test-concurrency=1",
    `--test-timeout=${TEST_LIMIT_MS}`,
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    "--test-reporter=./tools/tally-reporter.ts",
    `--test-reporter-destination=${path.join(tallyFolder, `${suite.name}.json`)}`,
    ...(only === undefined ? [] : [`--test-name-pattern=${only}`]),
    ...suite.globs,
  ];
}

async function runSuite(suite: Suite, only: string | undefined): Promise<boolean> {
  console.log(`\n# ${suite.name}`);
  const env = { ...process.env };
  // Inherited, it would make the inner run skip every test and still exit 0.
  delete env["NODE_TEST_CONTEXT"];
  const child = spawn(process.execPath, testArguments(suite, only), {
    cwd: root,
    env,
    stdio: ["ignore", "inherit", "inherit"],
  });
  const limit = setTimeout(() => {
    console.error(`\n# ${suite.name} did not end within ${SUITE_LIMIT_MS / 60_000} minutes`);
    child.kill("SIGKILL");
  }, SUITE_LIMIT_MS);
  return new Promise((resolve) => {
    child.on("close", (status) => {
      clearTimeout(limit);
      resolve(status === 0);
    });
  });
}

function readTally(suite: Suite): Tally {
  const file = path.join(tallyFolder, `${suite.name}.json`);
  if (!existsSync(file)) return { passed: 0, failed: 1, skipped: 0 };
  return JSON.parse(readFileSync(file, "utf8")) as Tally;
}

const { values, positionals } = parseArgs({
  allowPositionals: true,
  options: { only: { type: "string" }, "skip-checks": { type: "boolean", default: false } },
});
const chosen = SUITES.filter(({ name }) => positionals.length === 0 || positionals.includes(name));
rmSync(tallyFolder, { recursive: true, force: true });
mkdirSync(tallyFolder, { recursive: true });

const clean = values["skip-checks"] || (await staticChecks());
let green = true;
const total: Tally = { passed: 0, failed: clean ? 0 : 1, skipped: 0 };
for (const suite of chosen) {
  green = (await runSuite(suite, values.only)) && green;
  const tally = readTally(suite);
  total.passed += tally.passed;
  total.failed += tally.failed;
  total.skipped += tally.skipped;
}
if (total.skipped > 0) console.log(`\n${total.skipped} skipped`);
console.log(`\n${total.passed} passed, ${total.failed} failed`);
process.exitCode = clean && green && total.failed === 0 && total.passed > 0 ? 0 : 1;
