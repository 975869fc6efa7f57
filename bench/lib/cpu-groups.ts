// CPU time of groups of processes, asked of the kernel's control groups: what a process's softirqs do on
// its time is in it, and what other programs of the machine use is not. What was too much for that, and
// was left to ksoftirqd, is counted apart, because it belongs to no group.
import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  rmdirSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { PanError } from "#base/error-codes.ts";

const V1_ACCOUNTING = "/sys/fs/cgroup/cpuacct";
const V2_ROOT = "/sys/fs/cgroup";
const MEMBERS = "cgroup.procs";
const REMOVAL_LIMIT_MS = 3000;
const REMOVAL_PAUSE_MS = 20;

/** Groups of this benchmark for as long as `run` takes: they are gone afterwards, also when the process ends before. */
export async function withCpuGroups<T>(
  names: readonly string[],
  run: (groups: CpuGroups) => Promise<T>,
): Promise<T> {
  const groups = new CpuGroups(`panoply-bench-${process.pid}`, names);
  const remove = (): void => groups.remove();
  process.once("exit", remove);
  try {
    return await run(groups);
  } finally {
    remove();
    process.off("exit", remove);
  }
}

export class CpuGroups {
  readonly #folder: string;
  readonly #names: readonly string[];
  readonly #v1: boolean;

  /** Makes the groups. Throws PAN_LAB_FAILED where there are no control groups. */
  constructor(name: string, groups: readonly string[]) {
    this.#v1 = existsSync(path.join(V1_ACCOUNTING, "cpuacct.usage"));
    if (!this.#v1 && !existsSync(path.join(V2_ROOT, "cgroup.controllers"))) {
      const message = `CPU time is measured by control groups: mount cgroup2 on ${V2_ROOT}, or cpuacct of cgroup v1 on ${V1_ACCOUNTING}`;
      throw new PanError("PAN_LAB_FAILED", message);
    }
    this.#folder = path.join(this.#v1 ? V1_ACCOUNTING : V2_ROOT, name);
    this.#names = groups;
    mkdirSync(this.#folder);
    for (const group of groups) mkdirSync(path.join(this.#folder, group));
  }

  /** Writing a process's number into this file moves it, and so all children it will have. */
  membersFile(group: string): string {
    return path.join(this.#folder, group, MEMBERS);
  }

  add(group: string, pid: number): void {
    writeFileSync(this.membersFile(group), String(pid));
  }

  /** The command, run in the group from its first moment. */
  within(group: string, argv: readonly string[]): string[] {
    return ["sh", "-c", 'echo $$ >"$0" && exec "$@"', this.membersFile(group), ...argv];
  }

  /** CPU time of each group since it was made, and of ksoftirqd since the machine started, in ns. */
  read(): CpuTimes {
    const groups = this.#names.map((name) => [name, this.#groupNs(name)] as const);
    return { groups: Object.fromEntries(groups), ksoftirqdNs: ksoftirqdNs() };
  }

  #groupNs(group: string): number {
    const file = (name: string): string => path.join(this.#folder, group, name);
    if (this.#v1) return Number(readFileSync(file("cpuacct.usage"), "utf8"));
    const usage = /^usage_usec (\d+)$/m.exec(readFileSync(file("cpu.stat"), "utf8"));
    return Number(usage?.[1]) * 1000;
  }

  /** Who is still in them goes on outside. Safe to repeat; synchronous, for use while the process exits. */
  remove(): void {
    const end = performance.now() + REMOVAL_LIMIT_MS;
    const folders = [...this.#names.map((name) => path.join(this.#folder, name)), this.#folder];
    for (const folder of folders) removeFolder(folder, end);
  }
}

export interface CpuTimes {
  readonly groups: Readonly<Record<string, number>>;
  readonly ksoftirqdNs: number;
}

/** What was used between two readings. */
export function elapsed(before: CpuTimes, after: CpuTimes): CpuTimes {
  const groups = Object.entries(after.groups).map(
    ([name, value]) => [name, value - (before.groups[name] ?? 0)] as const,
  );
  return {
    groups: Object.fromEntries(groups),
    ksoftirqdNs: after.ksoftirqdNs - before.ksoftirqdNs,
  };
}

/** A killed process leaves its group a moment after it is gone, and one may be born meanwhile. */
function removeFolder(folder: string, end: number): void {
  while (existsSync(folder)) {
    evict(folder);
    try {
      rmdirSync(folder);
    } catch (error) {
      const busy = (error as NodeJS.ErrnoException).code === "EBUSY";
      if (!busy || performance.now() > end) throw error;
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, REMOVAL_PAUSE_MS);
    }
  }
}

/** Back to the group that all processes are in unless somebody puts them elsewhere. */
function evict(folder: string): void {
  const pids = readFileSync(path.join(folder, MEMBERS), "utf8").split("\n").filter(Boolean);
  for (const pid of pids) {
    try {
      writeFileSync(path.join(path.dirname(path.dirname(folder)), MEMBERS), pid);
    } catch (error) {
      // it has ended meanwhile
      if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
    }
  }
}

let ksoftirqd: readonly string[] | undefined;

function ksoftirqdNs(): number {
  ksoftirqd ??= readdirSync("/proc").filter(
    (pid) => /^\d+$/.test(pid) && nameOf(pid).startsWith("ksoftirqd/"),
  );
  return ksoftirqd
    .map((pid) => Number(readFileSync(`/proc/${pid}/schedstat`, "utf8").split(" ")[0]))
    .reduce((sum, ns) => sum + ns, 0);
}

function nameOf(pid: string): string {
  try {
    return readFileSync(`/proc/${pid}/comm`, "utf8");
  } catch {
    return ""; // it has ended meanwhile
  }
}
