// `npm run sim`: one seed, many seeds, or seed after seed until stopped.
import { BalancingRun } from "./balancing-run.ts";
import { bulkText, runHours } from "./bulk.ts";
import { type BulkOptions, readOptions, type SimOptions, USAGE, UsageError } from "./options.ts";
import {
  addTo,
  commit,
  failureText,
  noTotals,
  summary,
  summaryText,
  type Totals,
} from "./report.ts";
import { type RunResult, Simulation } from "./simulation.ts";

/** A soak says how far it has come. */
const SAY_EVERY_MS = 30_000;

/** Ctrl-C ends it after the run that is going on. */
const stop = new AbortController();

const replay = ({ nodes, minutes, balancing, spread }: SimOptions, seed: number): string =>
  `npm run sim -- ${balancing ? "--balancing " : ""}${spread ? "--spread " : ""}--seed ${seed} --nodes ${nodes} --minutes ${minutes}`;

/** Standard output belongs to the JSON object. */
function say({ json }: SimOptions, text: string): void {
  if (json) console.error(text);
  else console.log(text);
}

function finish(options: SimOptions, totals: Totals, failed: RunResult | undefined): number {
  if (failed?.failure !== undefined) {
    say(options, failureText(failed.seed, replay(options, failed.seed), failed.failure));
  }
  say(options, `\n${summaryText(totals)}`);
  if (options.json) {
    const { nodes, minutes } = options;
    const found =
      failed === undefined ? {} : { violation: { seed: failed.seed, ...failed.failure } };
    const ok = failed === undefined;
    console.log(
      JSON.stringify({ ok, commit: commit(), nodes, minutes, ...summary(totals), ...found }),
    );
  } else if (failed === undefined) console.log("No violation.");
  return failed === undefined ? 0 : 1;
}

/** Gives signals a chance between two runs. */
const breathe = (): Promise<void> => new Promise((resolve) => setImmediate(resolve));

async function runSeeds(options: SimOptions, count: number): Promise<number> {
  const { nodes, minutes, spread } = options;
  const totals = noTotals();
  const started = process.cpuUsage();
  let saidMs = performance.now();
  for (let seed = options.seed; seed < options.seed + count && !stop.signal.aborted; seed++) {
    const settings = { seed, nodes, minutes, spread };
    const run = options.balancing ? new BalancingRun(settings) : new Simulation(settings);
    const result = run.run();
    addTo(totals, result);
    const { user, system } = process.cpuUsage(started);
    totals.cpuMs = (user + system) / 1000;
    if (options.digests) say(options, `seed ${seed}: ${result.digest}`);
    if (result.failure !== undefined) return finish(options, totals, result);
    if (performance.now() - saidMs > SAY_EVERY_MS) {
      saidMs = performance.now();
      console.error(`… seed ${seed}: ${summaryText(totals).split("\n").slice(0, 2).join("; ")}`);
    }
    await breathe();
  }
  return finish(options, totals, undefined);
}

async function runBulk(options: SimOptions, bulk: BulkOptions): Promise<number> {
  const isStopped = (): boolean => stop.signal.aborted;
  const lines = await runHours({ options: bulk, isStopped, say: (text) => say(options, text) });
  say(options, `\n${bulkText(lines)}`);
  const ok = lines.every(({ violations }) => violations.length === 0);
  if (options.json) console.log(JSON.stringify({ ok, lines }));
  return ok ? 0 : 1;
}

async function main(): Promise<number> {
  const options = readOptions(process.argv.slice(2));
  if (options.bulk !== undefined) return runBulk(options, options.bulk);
  switch (options.command) {
    case "help":
      console.log(USAGE);
      return 0;
    case "run":
      return runSeeds(options, options.seeds);
    case "soak":
      return runSeeds(options, Number.POSITIVE_INFINITY);
    case "scale": {
      const { measureScale } = await import("./scale.ts");
      return measureScale(options);
    }
  }
}

for (const signal of ["SIGINT", "SIGTERM"] as const) {
  process.on(signal, () => {
    stop.abort();
  });
}

try {
  process.exitCode = await main();
} catch (error) {
  if (!(error instanceof UsageError)) throw error;
  console.error(`${error.message}\n\n${USAGE}`);
  process.exitCode = 2;
}
