// `npm run bench -- SUITE [--json] [--quick]`: one suite of measurements, ratios first. Exits with 1 when a
// promise was not kept, with 2 when the command is not understood. A suite is loaded only when it is run.
import os from "node:os";
import { parseArgs } from "node:util";
import { PanError } from "#base/error-codes.ts";
import { observeMachine, renderMachine } from "./lib/machine.ts";
import type { SuiteOptions } from "./lib/options.ts";
import { renderSuite, type Suite } from "./suite.ts";

/** A suite may bring its own form for people. */
type Printed = Suite & { readonly text?: string };
type Run = (options: SuiteOptions) => Promise<Printed>;

const SUITES: Readonly<Record<string, () => Promise<Run>>> = {
  changes: async () => (await import("./changes.ts")).changes,
  datapath: async () => (await import("./datapath.ts")).datapath,
  failover: async () => (await import("./failover.ts")).failover,
  "failover-filtered": async () => (await import("./failover.ts")).failoverFiltered,
  "failover-soak": async () => (await import("./failover.ts")).failoverSoak,
  peers: async () => (await import("./peers.ts")).peers,
  paths: async () => (await import("./path-failover.ts")).pathFailover,
  sessions: async () => (await import("./sessions.ts")).sessions,
  takeovers: async () => (await import("./takeovers.ts")).takeovers,
  traffic: async () => (await import("./traffic.ts")).traffic,
  "traffic-offloads": async () => (await import("./traffic.ts")).trafficOffloads,
};

const USAGE = `usage: npm run bench -- ${Object.keys(SUITES).join("|")} [--json] [--quick]`;

function render(suite: Printed): string {
  if (suite.text === undefined) return renderSuite(suite);
  return [`# ${suite.title}`, ...suite.method.map((line) => `  ${line}`), "", suite.text].join(
    "\n",
  );
}

/** What was promised and not kept. */
const missed = (suite: Suite): string[] =>
  suite.rows.flatMap(({ name, target }) =>
    target === undefined || target.met ? [] : [`${name}: ${target.text}`],
  );

async function bench(name: string, options: { json: boolean; quick: boolean }): Promise<number> {
  const load = SUITES[name];
  if (load === undefined) {
    console.error(USAGE);
    return 2;
  }
  if (process.getuid?.() !== 0) {
    const message = `"npm run bench -- ${name}" makes network namespaces and loads packet programs: run it as root`;
    throw new PanError("PAN_NOT_ROOT", message);
  }
  const machine = observeMachine();
  const run = await load();
  const suite = await run({ quick: options.quick, say: (line) => console.error(`… ${line}`) });
  const failed = missed(suite);
  if (options.json) {
    const { text: _, ...rest } = suite;
    console.log(JSON.stringify({ ok: failed.length === 0, ...rest, machine: machine() }));
  } else {
    console.log(`${render(suite)}\n\n${renderMachine(machine())}`);
    if (suite.rows.some(({ target }) => target !== undefined)) {
      console.log(failed.length === 0 ? "Every promise was kept." : "Not every promise was kept.");
    }
  }
  return failed.length === 0 ? 0 : 1;
}

// so that what a suite has made is removed by its exit handlers
for (const signal of ["SIGHUP", "SIGINT", "SIGTERM"] as const) {
  process.once(signal, () => process.exit(128 + os.constants.signals[signal]));
}
try {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: {
      json: { type: "boolean", default: false },
      quick: { type: "boolean", default: false },
    },
  });
  process.exitCode = await bench(positionals.join(" "), values);
} catch (error) {
  const usage = (error as NodeJS.ErrnoException).code?.startsWith("ERR_PARSE_ARGS") === true;
  if (!usage && !(error instanceof PanError)) throw error;
  console.error(`npm run bench: ${(error as Error).message}${usage ? `\n${USAGE}` : ""}`);
  process.exitCode = usage ? 2 : 1;
}
