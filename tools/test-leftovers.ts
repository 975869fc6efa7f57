// What test processes leave on the machine when they hang, crash or forget something, and its removal. Processes are found by a
// mark in their environment, which whatever they start inherits, also in sessions and namespaces of its own; labs and
// namespaces by the number of the process in their name (CONTRIBUTING.md: tests name them so).
import { existsSync, readdirSync, readFileSync, rmSync } from "node:fs";
import { execFileSync } from "node:child_process";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { Lab } from "#lab/lab.ts";
import { inhabitants, killAllSync, type ProcessId, identify, stateOf } from "#lab/processes.ts";
import { labNames, netnsPath } from "#lab/record.ts";

/** Name of the environment variable that carries the mark. */
export const MARK = "PANOPLY_TEST_MARK";
const POLL_MS = 50;
/** Of a command line, in characters. */
const MOST_SHOWN = 160;
const NETNS_FOLDER = "/run/netns";
const RUN_FOLDER = "/run";

/** Processes with this mark that have not ended. */
export function marked(mark: string): ProcessId[] {
  const wanted = `${MARK}=${mark}`;
  return readdirSync("/proc")
    .filter((name) => /^\d+$/.test(name) && Number(name) !== process.pid)
    .filter((name) => environmentOf(name).includes(wanted))
    .map((name) => identify(Number(name)))
    .filter((id): id is ProcessId => id !== undefined && stateOf(id) !== "ended");
}

function environmentOf(pid: string): string[] {
  try {
    return readFileSync(`/proc/${pid}/environ`, "utf8").split("\0");
  } catch {
    return []; // it ended, or is somebody else's
  }
}

const listed = (folder: string): string[] => (existsSync(folder) ? readdirSync(folder) : []);

/** Whether a lab (t12-…), namespace (pt-…-12-…, pan-t12-…) or folder (panoply-cluster-t12-…) is of one of these processes. */
const isOf = (name: string, pids: ReadonlySet<number>): boolean =>
  [...name.matchAll(/(?:^|-)t?(\d+)(?=-|$)/gu)].some(([, digits]) => pids.has(Number(digits)));

/**
 * Ends and removes what is there, and tells each thing.
 *
 * @param pids of processes that have ended and may have made labs and namespaces
 * @param lingeringMs that a process may take to end by itself
 */
export async function removeLeftovers(
  mark: string,
  pids: readonly number[],
  lingeringMs: number,
): Promise<string[]> {
  const makers = new Set(pids);
  const left = await stillRunning(mark, lingeringMs);
  const found = left.map(({ pid }) => `process ${pid} (${commandOf(pid)})`);
  for (const { pid } of left) makers.add(pid);
  killAllSync(() => marked(mark));
  return [...found, ...removeLabs(makers), ...removeNamespaces(makers), ...removeFolders(makers)];
}

async function stillRunning(mark: string, lingeringMs: number): Promise<ProcessId[]> {
  const end = performance.now() + lingeringMs;
  for (;;) {
    const left = marked(mark);
    if (left.length === 0 || performance.now() > end) return left;
    await pause(POLL_MS);
  }
}

function commandOf(pid: number): string {
  try {
    const words = readFileSync(`/proc/${pid}/cmdline`, "utf8").split("\0").join(" ").trim();
    return words.length > MOST_SHOWN ? `${words.slice(0, MOST_SHOWN)}…` : words;
  } catch {
    return "ended meanwhile";
  }
}

function removeLabs(makers: ReadonlySet<number>): string[] {
  const labs = labNames().filter((name) => isOf(name, makers));
  for (const lab of labs) Lab.down(lab);
  return labs.map((lab) => `lab ${lab}`);
}

function removeNamespaces(makers: ReadonlySet<number>): string[] {
  const names = listed(NETNS_FOLDER).filter(
    (name) => /^(pt|pan)-/u.test(name) && isOf(name, makers),
  );
  for (const name of names) {
    killAllSync(() => inhabitants(netnsPath(name)));
    execFileSync("ip", ["netns", "del", name]);
  }
  return names.map((name) => `namespace ${name}`);
}

function removeFolders(makers: ReadonlySet<number>): string[] {
  const prefix = "panoply-cluster-";
  const names = listed(RUN_FOLDER).filter((name) => name.startsWith(prefix) && isOf(name, makers));
  for (const name of names) rmSync(path.join(RUN_FOLDER, name), { recursive: true, force: true });
  return names.map((name) => `folder ${path.join(RUN_FOLDER, name)}`);
}
