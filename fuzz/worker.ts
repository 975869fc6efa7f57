// The thread in which one target is fuzzed; run.ts starts and watches it. First the stored inputs, then new ones.
import { inspect } from "node:util";
import { parentPort, workerData } from "node:worker_threads";
import { Campaign, type Failure } from "./campaign.ts";
import { storedInputs } from "./corpus.ts";
import type { Target } from "./target.ts";
import { TARGETS } from "./targets.ts";

export interface Task {
  readonly target: string;
  readonly seed: number;
  readonly durationMs: number;
  /** [runs, length of the input], 32 bits each, then the input that is being run. */
  readonly window: SharedArrayBuffer;
}

export interface Outcome {
  readonly runs: number;
  readonly outcomes: readonly (readonly [string, number])[];
  readonly failure: { readonly input: Uint8Array; readonly error: string } | undefined;
}

/** Inputs between two looks at the clock. */
const BATCH = 64;

function replay(target: Target, show: (input: Uint8Array) => void): Failure | undefined {
  for (const { file, input } of storedInputs(target)) {
    show(input);
    try {
      target.run(input);
    } catch (error) {
      return { input, error: new Error(`${file} breaks it again`, { cause: error }) };
    }
  }
  return undefined;
}

function explore(
  campaign: Campaign,
  durationMs: number,
  show: (input: Uint8Array) => void,
): Failure | undefined {
  const end = performance.now() + durationMs;
  while (performance.now() < end) {
    for (let count = 0; count < BATCH; count++) {
      const failure = campaign.step(show);
      if (failure !== undefined) return failure;
    }
  }
  return undefined;
}

function work({ target: name, seed, durationMs, window }: Task): Outcome {
  const target = TARGETS.find((entry) => entry.name === name);
  if (target === undefined) throw new RangeError(`Cannot fuzz "${name}": there is no such target`);
  const state = new Int32Array(window, 0, 2);
  const shown = new Uint8Array(window, 8);
  const show = (input: Uint8Array): void => {
    shown.set(input.subarray(0, shown.length));
    state[1] = Math.min(input.length, shown.length);
    Atomics.add(state, 0, 1);
  };
  const campaign = new Campaign(target, seed);
  const failure = replay(target, show) ?? explore(campaign, durationMs, show);
  const { runs, outcomes } = campaign.progress;
  return {
    runs,
    outcomes: [...outcomes],
    failure: failure && { input: failure.input, error: inspect(failure.error) },
  };
}

if (parentPort === null) throw new Error("Cannot run on its own: start fuzz/run.ts");
parentPort.postMessage(work(workerData as Task), []);
