// One agent per host: two would undo each other's changes. "Host" means a network namespace (addresses,
// packet programs) and a state folder (journal, tables), so there is a lock for each. flock(2) belongs to
// the process: the kernel releases it however the process ends. The files name the pid for the message.
import {
  closeSync,
  fstatSync,
  ftruncateSync,
  mkdirSync,
  openSync,
  readFileSync,
  rmSync,
  statSync,
  writeSync,
} from "node:fs";
import path from "node:path";
import { PanError } from "#base/error-codes.ts";
import { check, errnoCode, libc } from "../libc.ts";

const LOCK_EX = 2;
const LOCK_NB = 4;
const DEFAULT_RUNTIME_FOLDER = "/run/panoply";
/** A lock file can vanish between opening and locking, when its holder ends; not many times in a row. */
const TRIES = 10;

export interface AgentLockOptions {
  readonly stateFolder: string;
  /** Shared by all agents of the machine, whatever their namespace. Default: /run/panoply. */
  readonly runtimeFolder?: string;
}

interface LockedFile {
  readonly path: string;
  readonly fd: number;
}

export class AgentLock {
  readonly #files: LockedFile[] = [];

  private constructor(paths: readonly string[]) {
    try {
      for (const file of paths) this.#files.push(lockFile(file));
    } catch (error) {
      this.release();
      throw error;
    }
  }

  /** For the network namespace the thread is in now. Throws PAN_AGENT_RUNNING, naming the other's pid. */
  static acquire(options: AgentLockOptions): AgentLock {
    const folder = options.runtimeFolder ?? DEFAULT_RUNTIME_FOLDER;
    mkdirSync(options.stateFolder, { recursive: true, mode: 0o700 });
    mkdirSync(folder, { recursive: true, mode: 0o755 });
    const namespace = statSync("/proc/thread-self/ns/net").ino;
    return new AgentLock([
      path.join(options.stateFolder, "agent.lock"),
      path.join(folder, `netns-${namespace}.lock`),
    ]);
  }

  release(): void {
    for (const { path: file, fd } of this.#files.splice(0)) {
      rmSync(file, { force: true });
      closeSync(fd);
    }
  }
}

function lockFile(file: string): LockedFile {
  for (let tries = 0; tries < TRIES; tries++) {
    const fd = openSync(file, "a+", 0o644);
    try {
      check(libc.flock(fd, LOCK_EX | LOCK_NB), `lock ${file}`);
    } catch (error) {
      closeSync(fd);
      throw errnoCode(error) === "EAGAIN" ? runningAgent(file) : error;
    }
    // Its former holder may have unlinked it in the meantime; then the name is free for a third one.
    if (statSync(file, { throwIfNoEntry: false })?.ino === fstatSync(fd).ino) {
      ftruncateSync(fd, 0);
      writeSync(fd, `${process.pid}\n`);
      return { path: file, fd };
    }
    closeSync(fd);
  }
  throw new PanError("PAN_AGENT_RUNNING", `Others keep taking and leaving ${file}: try again`);
}

function runningAgent(file: string): PanError {
  const pid = readFileSync(file, "utf8").trim();
  const who = pid === "" ? "one that is just starting" : `process ${pid}`;
  return new PanError(
    "PAN_AGENT_RUNNING",
    `Another agent (${who}) holds ${file}: stop it first, or talk to it with "pan status"`,
  );
}
