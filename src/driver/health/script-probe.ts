// A program ends with status 0 (B7). No shell sees its arguments; it runs in a process group of its own, which is killed whole when its
// time is over or it leaves something behind; of its output no more is kept than a line of the log holds.
import { type ChildProcess, spawn } from "node:child_process";
import type { CheckResult } from "#core/health/check.ts";
import { attempt, type AttemptLimits, oneLine } from "./attempt.ts";

export interface ScriptProbe {
  readonly type: "script";
  /** Full path of the program, and arguments. */
  readonly command: readonly string[];
  readonly environment: Readonly<Record<string, string>>;
}

/** The rest is read and thrown away. */
const MAX_OUTPUT_BYTES = 4096;

export function probeScript(
  { command, environment }: ScriptProbe,
  limits: AttemptLimits,
): Promise<CheckResult> {
  return attempt(limits, ({ found, failed }) => {
    const [program = "", ...argv] = command;
    const child = spawn(program, argv, {
      detached: true,
      cwd: "/",
      env: environment,
      stdio: ["ignore", "pipe", "pipe"],
    });
    const said = collect(child);
    child.once("error", failed);
    child.once("exit", (status, signal) => {
      // what it printed last may still be on its way
      setImmediate(() => found(status === 0, endOf(status, signal, said())));
    });
    return () => {
      killGroup(child);
      child.stdout.destroy();
      child.stderr.destroy();
    };
  });
}

function endOf(status: number | null, signal: string | null, said: string): string {
  const end = status === null ? `ended by ${signal ?? "a signal"}` : `status ${status}`;
  return said === "" ? end : `${end}: ${said}`;
}

function collect({ stdout, stderr }: ChildProcess): () => string {
  const pieces: Buffer[] = [];
  let length = 0;
  for (const stream of [stdout, stderr]) {
    stream?.on("data", (chunk: Buffer) => {
      const piece = chunk.subarray(0, MAX_OUTPUT_BYTES - length);
      length += piece.length;
      if (piece.length > 0) pieces.push(piece);
    });
    stream?.on("error", () => {}); // it is destroyed when the result is there
  }
  return () => oneLine(Buffer.concat(pieces).toString("utf8"));
}

/** A group that has ended already is no mistake. */
function killGroup({ pid }: ChildProcess): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, "SIGKILL");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "ESRCH") throw error;
  }
}
