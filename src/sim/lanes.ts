// Several runs at once, each in a thread of its own. Runs are handed out in order and told in that order, whichever ends first.
import { once } from "node:events";
import { setImmediate } from "node:timers/promises";
import { Worker } from "node:worker_threads";
import { type RunResult, type RunSettings, Simulation } from "./simulation.ts";

interface Lane {
  run(settings: RunSettings): Promise<RunResult>;
  close(): Promise<unknown>;
}

/** In this thread; lets signals in between two runs. */
const here: Lane = {
  async run(settings) {
    await setImmediate();
    return new Simulation(settings).run();
  },
  async close() {},
};

function inThread(): Lane {
  const worker = new Worker(new URL("./run-worker.ts", import.meta.url));
  return {
    async run(settings) {
      worker.postMessage(settings, []);
      const [result] = (await once(worker, "message")) as [RunResult];
      return result;
    },
    close: () => worker.terminate(),
  };
}

export interface Work {
  /** One: in this thread. */
  readonly workers: number;
  /** The run that comes next. Undefined: none for now; asked again when one has ended. */
  readonly next: () => RunSettings | undefined;
  readonly done: (settings: RunSettings, result: RunResult) => void;
}

/** Until there is nothing more to run. */
export async function runInOrder({ workers, next, done }: Work): Promise<void> {
  const ended = new Map<number, { readonly settings: RunSettings; readonly result: RunResult }>();
  let [given, told] = [0, 0];
  const tell = (): void => {
    for (let run = ended.get(told); run !== undefined; run = ended.get(told)) {
      ended.delete(told);
      told += 1;
      done(run.settings, run.result);
    }
  };
  const work = async (lane: Lane): Promise<void> => {
    for (let settings = next(); settings !== undefined; settings = next()) {
      const order = given;
      given += 1;
      ended.set(order, { settings, result: await lane.run(settings) });
      tell();
    }
  };
  const lanes = Array.from({ length: workers }, () => (workers === 1 ? here : inThread()));
  try {
    await Promise.all(lanes.map(work));
  } finally {
    await Promise.all(lanes.map((lane) => lane.close()));
  }
}
