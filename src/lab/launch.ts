// Starts programs in a host: in its network namespace, with its own folder and log, in a session of
// their own, so that Ctrl-C at the terminal of the lab reaches the lab and not its hosts.
import { type ChildProcess, spawn, type SpawnOptions } from "node:child_process";
import {
  closeSync,
  existsSync,
  mkdirSync,
  openSync,
  readFileSync,
  truncateSync,
  writeFileSync,
} from "node:fs";
import path from "node:path";
import { setTimeout as pause } from "node:timers/promises";
import { PanError } from "#base/error-codes.ts";
import { inNetns } from "#driver/libc.ts";
import { identify } from "./processes.ts";
import { hostFolder, netnsName, netnsPath, recordProcess } from "./record.ts";
import type { Program } from "./topology.ts";

const READY_LIMIT_MS = 10_000;
const POLL_MS = 5;
/** How much of a log is quoted when its program did not start. */
const TAIL_CHARACTERS = 1500;

/** Where a process belongs. */
export interface Place {
  readonly lab: string;
  readonly host: string;
}

/**
 * Starts a process in a host and records it. The fork happens before the return, so the process
 * is in the host's namespace whatever happens here next. Throws PAN_NOT_FOUND for a host that is dead.
 */
export function spawnIn(
  place: Place,
  argv: readonly string[],
  options: SpawnOptions & { readonly program?: string } = {},
): ChildProcess {
  const [command = "", ...args] = argv;
  const netns = netnsPath(netnsName(place.lab, place.host));
  if (!existsSync(netns)) {
    const message = `Host ${place.host} of lab ${place.lab} is dead. Bring it back with "pan lab fault revive ${place.host} --name ${place.lab}"`;
    throw new PanError("PAN_NOT_FOUND", message);
  }
  const { program = path.basename(command), ...rest } = options;
  const child = inNetns(netns, () => spawn(command, args, { detached: true, ...rest }));
  const id = child.pid === undefined ? undefined : identify(child.pid);
  if (id !== undefined) recordProcess(place.lab, { ...id, host: place.host, program });
  return child;
}

export const logFile = (place: Place, program: string): string =>
  path.join(hostFolder(place.lab, place.host), `${program}.log`);

/** Writes the program's files, starts it and waits until it is ready. Throws PAN_LAB_FAILED. */
export async function startProgram(place: Place, program: Program): Promise<void> {
  const folder = hostFolder(place.lab, place.host);
  const fill = (text: string): string =>
    text
      .replaceAll("@DIR@", folder)
      .replaceAll("@HOST@", place.host)
      .replaceAll("@LAB@", place.lab);
  for (const [name, content] of Object.entries(program.files ?? {})) {
    const file = path.join(folder, fill(name));
    mkdirSync(path.dirname(file), { recursive: true });
    if (typeof content === "string") writeFileSync(file, fill(content));
    else {
      writeFileSync(file, "");
      truncateSync(file, content.sizeBytes);
    }
  }
  const env = { ...process.env };
  for (const [key, value] of Object.entries(program.env ?? {})) env[key] = fill(value);
  const log = openSync(logFile(place, program.name), "a", 0o600);
  let child: ChildProcess;
  try {
    child = spawnIn(place, program.argv.map(fill), {
      program: program.name,
      cwd: folder,
      env,
      stdio: ["ignore", log, log],
    });
  } finally {
    closeSync(log);
  }
  await untilReady(place, program, child, fill);
  child.unref();
}

async function untilReady(
  place: Place,
  program: Program,
  child: ChildProcess,
  fill: (text: string) => string,
): Promise<void> {
  const failed = new Promise<string>((resolve) => {
    child.once("error", (error) => resolve(`cannot be started: ${error.message}`));
    child.once("exit", (status, signal) => resolve(`ended at once (${status ?? signal})`));
  });
  let failure: string | undefined;
  void failed.then((reason) => (failure = reason));
  const { tcp, file, timeoutMs = READY_LIMIT_MS } = program.ready ?? {};
  const limit = performance.now() + timeoutMs;
  const awaited: string[] = [
    ...(tcp === undefined ? [] : [`listen on TCP port ${tcp}`]),
    ...(file === undefined ? [] : [`write ${file}`]),
  ];
  const ready = (): boolean =>
    (tcp === undefined || listens(place, tcp)) &&
    (file === undefined || existsSync(path.resolve(hostFolder(place.lab, place.host), fill(file))));
  do {
    // one turn in any case: a command that does not exist is reported by the event loop
    await pause(awaited.length === 0 ? 0 : POLL_MS);
    if (failure !== undefined) throw notStarted(place, program, failure);
    if (ready()) return;
  } while (performance.now() < limit);
  const reason = `did not ${awaited.join(" and ")} within ${timeoutMs} ms`;
  throw notStarted(place, program, reason);
}

function notStarted(place: Place, program: Program, reason: string): PanError {
  const file = logFile(place, program.name);
  const log = existsSync(file) ? readFileSync(file, "utf8").slice(-TAIL_CHARACTERS).trim() : "";
  const said = log === "" ? "It printed nothing." : `It printed:\n${log}`;
  const message = `Program ${program.name} of host ${place.host} ${reason}. ${said}`;
  return new PanError("PAN_LAB_FAILED", message);
}

/** Whether anybody listens on the port: asked of the kernel, so that no program sees a connection. */
function listens(place: Place, port: number): boolean {
  const listening = "0A";
  const wanted = port.toString(16).toUpperCase().padStart(4, "0");
  const tables = inNetns(netnsPath(netnsName(place.lab, place.host)), () =>
    ["tcp", "tcp6"].map((name) => readFileSync(`/proc/thread-self/net/${name}`, "utf8")),
  );
  return tables
    .join("\n")
    .split("\n")
    .map((line) => line.trim().split(/\s+/))
    .some(([, local = "", , state]) => state === listening && local.endsWith(`:${wanted}`));
}
