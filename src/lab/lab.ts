// A lab: hosts in network namespaces of this machine, on which clusters are tried, tested and
// measured. What it has made is on disk (record.ts), so any process can go on with it or end it.
import type { ChildProcess, SpawnOptions } from "node:child_process";
import { existsSync, mkdirSync } from "node:fs";
import os from "node:os";
import { PanError } from "#base/error-codes.ts";
import { Faults } from "./faults.ts";
import { ipBatchSync, runningTools } from "./ip.ts";
import { spawnIn, startProgram } from "./launch.ts";
import { inhabitants, killAllSync, stateOf } from "./processes.ts";
import {
  createRecord,
  folderOf,
  hostFolder,
  labNames,
  type LabRecord,
  netnsName,
  netnsPath,
  readRecord,
  removeAgentLock,
  removeRecord,
  startedProcesses,
} from "./record.ts";
import { labStatus, type LabStatus } from "./status.ts";
import type { Host, Topology } from "./topology.ts";
import { buildNetwork } from "./wiring.ts";

export interface UpOptions {
  /** Up to 20 lower-case letters, digits and hyphens. */
  readonly name: string;
  /** Like lab.downOnExit(), from the first moment on: there is no gap in which a signal leaves it up. */
  readonly downOnExit?: boolean;
}

export interface ExecResult {
  /** The exit status; 128 and the signal's number for who was killed by one. */
  readonly status: number;
  readonly stdout: string;
  readonly stderr: string;
}

export interface ExecOptions {
  /** Default 30 s; then the command and its children are killed and exec rejects. */
  readonly timeoutMs?: number;
  readonly input?: string;
  readonly env?: Readonly<Record<string, string>>;
}

const EXEC_LIMIT_MS = 30_000;
/** Output beyond this kills the command: nothing in a test has a use for it. */
const MOST_OUTPUT_BYTES = 64 * 1024 * 1024;

export class Lab {
  readonly name: string;
  readonly topology: Topology;
  /** What can go wrong with hosts and links, on demand. */
  readonly faults: Faults;

  private constructor(record: LabRecord) {
    this.name = record.name;
    this.topology = record.topology;
    this.faults = new Faults(record);
  }

  /**
   * Builds the network and starts every program. What was made is removed again when a step fails or
   * this process is interrupted. Throws PAN_NOT_ROOT, PAN_LAB_EXISTS, PAN_LAB_TOPOLOGY, PAN_LAB_FAILED.
   */
  static async up(topology: Topology, options: UpOptions): Promise<Lab> {
    requireRoot("Making network namespaces");
    // only here: to look into a lab or to end it, the schema library need not be loaded
    const { checkTopology } = await import("./topology-file.ts");
    checkTopology(topology);
    const { name } = options;
    const nodes = [...topology.switches, ...topology.hosts];
    const namespaces = nodes.map((node) => netnsName(name, node.name));
    const record: LabRecord = { name, topology, namespaces };
    createRecord(record);
    const lab = new Lab(record);
    const letGo = removeOnExit(name);
    try {
      await lab.#build();
    } catch (error) {
      await lab.down();
      throw error;
    } finally {
      if (options.downOnExit !== true) letGo();
    }
    return lab;
  }

  /** The lab of this name, whoever made it. Throws PAN_LAB_MISSING. */
  static open(name: string): Lab {
    const record = readRecord(name);
    if (record !== undefined) return new Lab(record);
    const others = labNames();
    const known = others.length === 0 ? "" : ` Labs that are up: ${others.join(", ")}.`;
    const message = `No lab "${name}" is up.${known} Make it with "pan lab up --name ${name}"`;
    throw new PanError("PAN_LAB_MISSING", message);
  }

  /** Ends the lab of this name, also one whose maker died at any point. False when there is none. */
  static down(name: string): boolean {
    if (!existsSync(folderOf(name))) return false;
    requireRoot("Removing network namespaces");
    removeLabSync(name);
    return true;
  }

  async #build(): Promise<void> {
    for (const host of this.topology.hosts) {
      mkdirSync(hostFolder(this.name, host.name), { mode: 0o700 });
    }
    await buildNetwork(this.name, this.topology);
    // Hosts start side by side, as machines do. All are waited for, so that none starts during a clean-up.
    const started = await Promise.allSettled(this.topology.hosts.map((host) => this.#start(host)));
    const failed = started.find((result) => result.status === "rejected");
    if (failed !== undefined) throw failed.reason;
  }

  async #start(host: Host): Promise<void> {
    for (const program of host.run ?? []) {
      await startProgram({ lab: this.name, host: host.name }, program);
    }
  }

  /** Ends all processes in the lab and removes all it made. Safe to repeat. */
  async down(): Promise<void> {
    Lab.down(this.name);
  }

  /**
   * Takes the lab down when this process ends: by SIGINT, SIGTERM or SIGHUP (then the process exits
   * with 128 and the signal's number), by exit() or by an uncaught error. Only SIGKILL leaves it up.
   */
  downOnExit(): void {
    removeOnExit(this.name);
  }

  /** The host's own folder: its programs' files, state and logs. */
  folder(host: string): string {
    return hostFolder(this.name, this.host(host).name);
  }

  /** For what must be made inside a host's network by this very process (driver/libc.ts, inNetns). */
  netns(node: string): string {
    const known = [...this.topology.switches, ...this.topology.hosts];
    if (known.every(({ name }) => name !== node)) throw unknownNode(node, known);
    return netnsPath(netnsName(this.name, node));
  }

  /** Throws PAN_NOT_FOUND. */
  host(name: string): Host {
    const found = this.topology.hosts.find((host) => host.name === name);
    if (found === undefined) throw unknownNode(name, this.topology.hosts);
    return found;
  }

  /** Runs a command in a host to its end. Throws PAN_LAB_FAILED when it cannot start or takes too long. */
  async exec(
    host: string,
    argv: readonly string[],
    options: ExecOptions = {},
  ): Promise<ExecResult> {
    const child = this.spawn(host, argv, {
      env: { ...process.env, ...options.env },
      stdio: ["pipe", "pipe", "pipe"],
    });
    return collect(child, argv, options);
  }

  /** Starts a command in a host, in a session of its own. The caller ends it; down() does in any case. */
  spawn(host: string, argv: readonly string[], options: SpawnOptions = {}): ChildProcess {
    return spawnIn({ lab: this.name, host: this.host(host).name }, argv, options);
  }

  async status(): Promise<LabStatus> {
    return labStatus(this.name, this.topology);
  }
}

/** Throws PAN_NOT_ROOT, saying what works without. */
export function requireRoot(what: string): void {
  if (process.getuid?.() === 0) return;
  const message = `${what} needs root: run the command with sudo. Without root "pan lab check FILE" judges a topology, and "npm test -- unit" runs the unit tests`;
  throw new PanError("PAN_NOT_ROOT", message);
}

const unknownNode = (name: string, known: readonly { readonly name: string }[]): PanError =>
  new PanError(
    "PAN_NOT_FOUND",
    `The lab has no host "${name}". It has ${known.map((node) => node.name).join(", ")}`,
  );

/** What Lab.downOnExit says. The function given back undoes it. */
function removeOnExit(name: string): () => void {
  const remove = (): void => void Lab.down(name);
  const exit = (signal: NodeJS.Signals): void => process.exit(128 + os.constants.signals[signal]);
  const signals = ["SIGHUP", "SIGINT", "SIGTERM"] as const;
  process.once("exit", remove);
  // Not once: a terminal's Ctrl-C comes twice (to the group, and passed on by the launcher), and the second
  // one must not end the process while the first one's removal is under way.
  for (const signal of signals) process.on(signal, exit);
  return () => {
    process.off("exit", remove);
    for (const signal of signals) process.off(signal, exit);
  };
}

/** Synchronous, because it must also work while the process exits. */
function removeLabSync(name: string): void {
  // what an interrupted bring-up is still making would come after its removal
  killAllSync(() => runningTools().filter((id) => stateOf(id) !== "ended"));
  const record = readRecord(name);
  const namespaces = record?.namespaces ?? [];
  const left = (): ReturnType<typeof inhabitants> => [
    ...startedProcesses(name).filter((id) => stateOf(id) !== "ended"),
    ...namespaces.flatMap((netns) => inhabitants(netnsPath(netns))),
  ];
  killAllSync(left);
  const present = namespaces.filter((netns) => existsSync(netnsPath(netns)));
  for (const netns of present) removeAgentLock(netns);
  const complaints = ipBatchSync(present.map((netns) => `netns del ${netns}`));
  const remaining = present.filter((netns) => existsSync(netnsPath(netns)));
  if (remaining.length > 0) {
    const message = `Cannot remove ${remaining.join(", ")}: ${complaints.trim()}`;
    throw new PanError("PAN_LAB_FAILED", message);
  }
  removeRecord(name);
}

async function collect(
  child: ChildProcess,
  argv: readonly string[],
  { timeoutMs = EXEC_LIMIT_MS, input = "" }: ExecOptions,
): Promise<ExecResult> {
  const output = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let bytes = 0;
  let ended: string | undefined;
  const end = (why: string): void => {
    ended ??= why;
    killGroup(child);
  };
  for (const name of ["stdout", "stderr"] as const) {
    child[name]?.on("data", (chunk: Buffer) => {
      output[name].push(chunk);
      bytes += chunk.byteLength;
      if (bytes > MOST_OUTPUT_BYTES) end(`printed more than ${MOST_OUTPUT_BYTES} bytes`);
    });
  }
  // who does not read its input closes it early; its exit status is what counts
  child.stdin?.on("error", () => undefined);
  child.stdin?.end(input);
  const timer = setTimeout(() => end(`did not end within ${timeoutMs} ms`), timeoutMs);
  try {
    const status = await statusOf(child, argv);
    if (ended !== undefined) {
      throw new PanError("PAN_LAB_FAILED", `"${argv.join(" ")}" ${ended} and was killed`);
    }
    const text = (chunks: readonly Buffer[]): string => Buffer.concat(chunks).toString("utf8");
    return { status, stdout: text(output.stdout), stderr: text(output.stderr) };
  } finally {
    clearTimeout(timer);
  }
}

/** Ends a child and what it has started in its session. */
function killGroup(child: ChildProcess): void {
  if (child.pid === undefined) return;
  try {
    process.kill(-child.pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}

/** The exit status of a child once it has ended and its output is complete. Throws PAN_LAB_FAILED. */
export async function statusOf(child: ChildProcess, argv: readonly string[]): Promise<number> {
  return new Promise((resolve, reject) => {
    child.once("error", (cause) => {
      const message = `Cannot run "${argv.join(" ")}": ${cause.message}`;
      reject(new PanError("PAN_LAB_FAILED", message, { cause }));
    });
    child.once("close", (status, signal) => {
      resolve(status ?? 128 + (signal === null ? 0 : (os.constants.signals[signal] ?? 0)));
    });
  });
}
