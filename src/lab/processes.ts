// Finds and ends the processes of a namespace. A pid alone names nobody: it is always paired with its
// start time, so that a number which the kernel has given to somebody else is never signalled.
import { readdirSync, readFileSync, readlinkSync, statSync } from "node:fs";
import { PanError } from "#base/error-codes.ts";

/** A process for good: `startTime` is in clock ticks since boot (proc(5), stat field 22). */
export interface ProcessId {
  readonly pid: number;
  readonly startTime: string;
}

/** R, S, D, T … or undefined when no such process is left; who has ended but is not reaped is Z. */
interface Stat {
  readonly state: string;
  readonly startTime: string;
}

function stat(pid: number): Stat | undefined {
  let text: string;
  try {
    text = readFileSync(`/proc/${pid}/stat`, "utf8");
  } catch {
    return undefined; // it ended: that is an answer, not an error
  }
  // the name in parentheses may contain anything, so count from the last one
  const fields = text.slice(text.lastIndexOf(")") + 2).split(" ");
  return { state: fields[0] ?? "", startTime: fields[19] ?? "" };
}

/** The identity of a process that runs now; undefined when none does. */
export function identify(pid: number): ProcessId | undefined {
  const found = stat(pid);
  return found === undefined ? undefined : { pid, startTime: found.startTime };
}

export type ProcessState = "running" | "frozen" | "ended";

export function stateOf(id: ProcessId): ProcessState {
  const found = stat(id.pid);
  if (found === undefined || found.startTime !== id.startTime) return "ended";
  if (found.state === "Z" || found.state === "X") return "ended";
  return found.state === "T" ? "frozen" : "running";
}

/**
 * Every process whose threads are all in the network namespace. All, because a driver of ours may
 * visit a namespace with one thread for a moment, and must not be taken for its inhabitant.
 */
export function inhabitants(netnsPath: string): ProcessId[] {
  const inode = inodeOf(netnsPath);
  if (inode === undefined) return [];
  const own = `net:[${inode}]`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => livesIn(name, own))
    .map((name) => identify(Number(name)))
    .filter((id): id is ProcessId => id !== undefined && stateOf(id) !== "ended");
}

function inodeOf(netnsPath: string): number | undefined {
  return statSync(netnsPath, { throwIfNoEntry: false })?.ino;
}

function livesIn(pid: string, netns: string): boolean {
  try {
    if (readlinkSync(`/proc/${pid}/ns/net`) !== netns) return false;
    return readdirSync(`/proc/${pid}/task`).every(
      (tid) => readlinkSync(`/proc/${pid}/task/${tid}/ns/net`) === netns,
    );
  } catch {
    return false; // it, or one of its threads, ended meanwhile
  }
}

/** False when the process has ended. */
export function signal(id: ProcessId, name: NodeJS.Signals): boolean {
  if (stateOf(id) === "ended") return false;
  try {
    return process.kill(id.pid, name);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ESRCH") return false;
    throw error;
  }
}

const pauseCell = new Int32Array(new SharedArrayBuffer(4));
/** Blocks this thread: for teardown, which must also work while the process exits. */
export const pauseSync = (ms: number): void => void Atomics.wait(pauseCell, 0, 0, ms);

/** How long SIGKILL may take: a process in uninterruptible sleep ends when its call does. */
const KILL_LIMIT_MS = 5000;

/**
 * Ends everything that `find` returns, again and again until it returns nothing: what is being
 * forked meanwhile is caught by the next round. Throws PAN_LAB_FAILED when something does not die.
 */
export function killAllSync(find: () => readonly ProcessId[]): void {
  const limit = performance.now() + KILL_LIMIT_MS;
  for (;;) {
    const left = find();
    if (left.length === 0) return;
    for (const id of left) signal(id, "SIGKILL");
    if (performance.now() > limit) {
      const pids = left.map(({ pid }) => pid).join(", ");
      throw new PanError(
        "PAN_LAB_FAILED",
        `These processes do not end after SIGKILL: ${pids}. See what they wait for in /proc/PID/stack`,
      );
    }
    pauseSync(2);
  }
}
