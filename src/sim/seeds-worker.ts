// A thread that runs seeds one after the other, for tests that run hundreds of them.
import { parentPort, workerData } from "node:worker_threads";
import { addTo, failureText, noTotals, type Totals } from "./report.ts";
import { type RunSettings, Simulation } from "./simulation.ts";

export interface SeedsOutcome {
  readonly totals: Totals;
  /** Of the first run in which a checker found something. */
  readonly failure: string | undefined;
}

const replayOf = ({ seed, nodes, minutes }: RunSettings): string =>
  `npm run sim -- --seed ${seed} --nodes ${nodes} --minutes ${minutes}`;

function outcomeOf(runs: readonly RunSettings[]): SeedsOutcome {
  const totals = noTotals();
  for (const settings of runs) {
    const result = new Simulation(settings).run();
    addTo(totals, result);
    const { failure } = result;
    if (failure === undefined) continue;
    return { totals, failure: failureText(settings.seed, replayOf(settings), failure) };
  }
  return { totals, failure: undefined };
}

parentPort?.postMessage(outcomeOf(workerData as RunSettings[]), []);
