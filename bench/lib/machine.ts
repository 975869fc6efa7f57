// What must be known of the machine to compare two runs of a benchmark.
import os from "node:os";

export interface Machine {
  readonly kernel: string;
  readonly processor: string;
  readonly cpus: number;
  /** Of the last minute, when the run began and when it ended: how much else the machine had to do. */
  readonly loadAverage: { readonly before: number; readonly after: number };
}

/** Call at the beginning; the function given back, at the end. */
export function observeMachine(): () => Machine {
  const before = minuteLoad();
  return () => ({
    kernel: os.release(),
    processor: os.cpus()[0]?.model ?? "unknown",
    cpus: os.availableParallelism(),
    loadAverage: { before, after: minuteLoad() },
  });
}

const minuteLoad = (): number => Number((os.loadavg()[0] ?? 0).toFixed(2));

export function renderMachine({ kernel, processor, cpus, loadAverage }: Machine): string {
  const load = `load average ${loadAverage.before} before, ${loadAverage.after} after`;
  return `Linux ${kernel}, ${cpus} CPUs (${processor}), ${load}`;
}
