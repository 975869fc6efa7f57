// `node fuzz/run.ts [--seconds N] [--seed N] [--target NAME]`: fuzzes every decoder, each for its share of the time. Ends
// with status 1 when a decoder threw, broke a promise, or did not return; the input is then in fuzz/corpus/.
//
// The decoders run in a worker, one for each target; this thread watches that they return.
import { parseArgs } from "node:util";
import { Worker } from "node:worker_threads";
import { storeInput } from "./corpus.ts";
import { MAX_INPUT } from "./mutate.ts";
import { TARGETS } from "./targets.ts";
import type { Outcome, Task } from "./worker.ts";

/** No input of this size may keep a decoder busy for longer. */
const HANG_MS = 5000;

/** What the worker is at: [runs so far, length of the input], then the input itself. */
const newWindow = (): SharedArrayBuffer => new SharedArrayBuffer(8 + MAX_INPUT);

function currentInput(window: SharedArrayBuffer): Uint8Array {
  const length = new Int32Array(window, 0, 2)[1] ?? 0;
  return new Uint8Array(window, 8, length).slice();
}

/** Resolves with what the worker found, or with the input that it hangs on. */
async function runTarget(task: Omit<Task, "window">): Promise<Outcome> {
  const window = newWindow();
  const worker = new Worker(new URL("worker.ts", import.meta.url), {
    workerData: { ...task, window } satisfies Task,
  });
  let lastRuns = -1;
  let watch: NodeJS.Timeout | undefined;
  try {
    return await new Promise<Outcome>((resolve, reject) => {
      worker.on("message", resolve);
      worker.on("error", reject);
      watch = setInterval(() => {
        const runs = Atomics.load(new Int32Array(window, 0, 2), 0);
        if (runs === lastRuns) {
          const error = `did not return within ${HANG_MS} ms`;
          resolve({ runs, outcomes: [], failure: { input: currentInput(window), error } });
        }
        lastRuns = runs;
      }, HANG_MS);
    });
  } finally {
    clearInterval(watch);
    await worker.terminate();
  }
}

function report(target: string, { runs, outcomes, failure }: Outcome): boolean {
  const sorted = outcomes.toSorted(([, a], [, b]) => b - a);
  const summary = sorted.slice(0, 8).map(([word, count]) => `${word} ${count}`);
  console.log(`${failure === undefined ? "ok  " : "FAIL"} ${target}: ${runs} inputs`);
  console.log(`     ${sorted.length} outcomes: ${summary.join(", ")}`);
  if (failure === undefined) return true;
  console.log(`     input kept in ${storeInput(target, failure.input)}\n${failure.error}`);
  return false;
}

const { values } = parseArgs({
  options: {
    seconds: { type: "string", default: "60" },
    seed: { type: "string", default: String(Date.now() % 2 ** 32) },
    target: { type: "string" },
  },
});
const [seconds, seed] = [Number(values.seconds), Number(values.seed)];
const chosen = TARGETS.filter(({ name }) => values.target === undefined || name === values.target);
if (!(seconds > 0) || !Number.isInteger(seed) || chosen.length === 0) {
  console.error(`Use --seconds with a number, --seed with an integer, and one of these targets:`);
  console.error(TARGETS.map(({ name }) => `  ${name}`).join("\n"));
  process.exit(2);
}
console.log(`seed ${seed}, ${seconds} s over ${chosen.length} targets`);
for (const { name } of chosen) {
  const share = (seconds * 1000) / chosen.length;
  const outcome = await runTarget({ target: name, seed, durationMs: share });
  if (!report(name, outcome)) process.exitCode = 1;
}
