// What a lab has made, on disk, written before it is made: `pan lab down` can therefore clean up
// after any crash. Everything of a lab lies in one folder, which is the lab's name to everybody.
import {
  appendFileSync,
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmdirSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { PanError } from "#base/error-codes.ts";
import { libc } from "#driver/libc.ts";
import type { ProcessId } from "./processes.ts";
import { LAB_NAME, type Topology } from "./topology.ts";

/** Folders and namespaces live until the next boot, so their record does too. */
export const LABS_FOLDER = "/run/panoply-lab";
const NETNS_FOLDER = "/run/netns";

export interface LabRecord {
  readonly name: string;
  readonly topology: Topology;
  /** Every namespace that was or is about to be made. */
  readonly namespaces: readonly string[];
}

/** One process that was started in a host. */
export interface StartedProcess extends ProcessId {
  readonly host: string;
  readonly program: string;
}

export const folderOf = (lab: string): string => path.join(LABS_FOLDER, lab);
export const hostFolder = (lab: string, host: string): string => path.join(folderOf(lab), host);
/** Hosts and switches are namespaces of this name. */
export const netnsName = (lab: string, node: string): string => `pan-${lab}-${node}`;
export const netnsPath = (netns: string): string => path.join(NETNS_FOLDER, netns);

/**
 * A killed agent leaves the lock file of its namespace. It goes before the namespace does, whose number the kernel may
 * give to the next one at once.
 */
export function removeAgentLock(netns: string): void {
  const inode = statSync(netnsPath(netns), { throwIfNoEntry: false })?.ino;
  if (inode !== undefined) rmSync(`/run/panoply/netns-${inode}.lock`, { force: true });
}

const recordFile = (lab: string): string => path.join(folderOf(lab), "lab.json");
const processFile = (lab: string): string => path.join(folderOf(lab), "processes.jsonl");

const isTaken = (name: string, options?: ErrorOptions): PanError =>
  new PanError(
    "PAN_LAB_EXISTS",
    `A lab "${name}" is up already. Take it down with "pan lab down --name ${name}", or give another name with --name`,
    options,
  );

/** Throws PAN_LAB_EXISTS: for whoever would touch what belongs to a lab before making it. */
export function requireFree(name: string): void {
  if (existsSync(folderOf(name))) throw isTaken(name);
}

/** Takes the name, so that of two who want it one gets it. Throws PAN_LAB_EXISTS. */
export function createRecord(record: LabRecord): void {
  const { name } = record;
  if (!new RegExp(LAB_NAME, "u").test(name)) {
    const message = `"${name}" cannot name a lab; use 1 to 20 lower-case letters, digits and hyphens`;
    throw new PanError("PAN_LAB_TOPOLOGY", message);
  }
  mkdirSync(LABS_FOLDER, { recursive: true });
  try {
    mkdirSync(folderOf(name), { mode: 0o700 });
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code !== "EEXIST") throw cause;
    throw isTaken(name, { cause });
  }
  const foreign = record.namespaces.find((netns) => existsSync(netnsPath(netns)));
  if (foreign !== undefined) {
    rmdirSync(folderOf(name));
    const message = `A network namespace ${foreign} exists that no lab has made. Remove it with "ip netns del ${foreign}", or give another name with --name`;
    throw new PanError("PAN_LAB_EXISTS", message);
  }
  const draft = `${recordFile(name)}.new`;
  writeFileSync(draft, JSON.stringify(record, undefined, 1), { mode: 0o600 });
  renameSync(draft, recordFile(name));
}

/** Undefined when no lab has this name; without a record file, when its maker died at once. */
export function readRecord(lab: string): LabRecord | undefined {
  try {
    return JSON.parse(readFileSync(recordFile(lab), "utf8")) as LabRecord;
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
}

/** Names of all labs of this machine. */
export const labNames = (): string[] =>
  existsSync(LABS_FOLDER) ? readdirSync(LABS_FOLDER).sort() : [];

/** A line a process, appended whole: several programs may start processes in one lab. */
export function recordProcess(lab: string, started: StartedProcess): void {
  appendFileSync(processFile(lab), `${JSON.stringify(started)}\n`, { mode: 0o600 });
}

/** Latest last. A line that was cut by a crash is left out: its process is found by namespace. */
export function startedProcesses(lab: string): StartedProcess[] {
  if (!existsSync(processFile(lab))) return [];
  return readFileSync(processFile(lab), "utf8")
    .split("\n")
    .filter((line) => line.endsWith("}"))
    .map((line) => JSON.parse(line) as StartedProcess);
}

/** Detaches what programs have mounted below a folder (a BPF file system, usually). */
export function unmountBelow(folder: string): void {
  const mounts = readFileSync("/proc/self/mountinfo", "utf8")
    .split("\n")
    .map((line) => line.split(" ")[4] ?? "")
    .filter((point) => point === folder || point.startsWith(`${folder}/`));
  const detach = 2;
  for (const point of mounts.toReversed()) libc.umount2(point, detach);
}

/** Removes the folder, the last trace of a lab. */
export function removeRecord(lab: string): void {
  unmountBelow(folderOf(lab));
  rmSync(folderOf(lab), { recursive: true, force: true });
  try {
    rmdirSync(LABS_FOLDER);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ENOTEMPTY" && code !== "ENOENT") throw error;
  }
}
