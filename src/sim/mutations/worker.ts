// A thread of its own for one mutation: its modules are loaded with the bug in them, then seeds run until a checker finds something.
import { registerHooks } from "node:module";
import { parentPort, workerData } from "node:worker_threads";
import type { Mutation } from "./list.ts";

export interface MutantOrder {
  readonly mutation: Mutation;
  readonly seeds: readonly number[];
  readonly minutes: number;
}

export type MutantOutcome =
  | {
      readonly found: true;
      readonly seed: number;
      readonly checker: string;
      readonly message: string;
    }
  | { readonly found: false; readonly why: string };

const { mutation, seeds, minutes } = workerData as MutantOrder;
let applied = 0;

registerHooks({
  load(url, context, nextLoad) {
    const loaded = nextLoad(url, context);
    if (!url.endsWith(`/src/${mutation.file}`)) return loaded;
    const source = Buffer.from(loaded.source as Uint8Array).toString();
    const parts = source.split(mutation.find);
    if (parts.length !== 2) {
      throw new Error(`${mutation.file} has ${parts.length - 1} times, not once: ${mutation.find}`);
    }
    applied += 1;
    return { ...loaded, source: parts.join(mutation.replace) };
  },
});

async function hunt(): Promise<MutantOutcome> {
  const { Simulation } = await import("../simulation.ts");
  const { BalancingRun } = await import("../balancing-run.ts");
  for (const seed of seeds) {
    const settings = { seed, nodes: 4, minutes, spread: mutation.run === "spread" };
    const run =
      mutation.run === "balancing" ? new BalancingRun(settings) : new Simulation(settings);
    const { failure } = run.run();
    if (applied !== 1) return { found: false, why: `${mutation.file} was not loaded` };
    if (failure !== undefined) {
      return { found: true, seed, checker: failure.checker, message: failure.message };
    }
  }
  return { found: false, why: `no violation in seeds ${seeds.join(", ")}` };
}

parentPort?.postMessage(await hunt(), []);
