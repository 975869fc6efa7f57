// Runs one hook (A10): in a process group of its own, for a limited time, with as much of its output as a log line holds.
import { type ChildProcess, type ChildProcessWithoutNullStreams, spawn } from "node:child_process";

/** Of standard output and standard error each; the rest is read and thrown away. */
export const MAX_OUTPUT_BYTES = 4096;
/** Between SIGTERM and SIGKILL to the group. */
const KILL_AFTER_MS = 500;
/** A child that the hook left behind may hold its output open; so long the rest is waited for. */
const DRAIN_MS = 250;

export interface HookCall {
  readonly file: string;
  readonly environment: Readonly<Record<string, string>>;
  /** Its standard input. */
  readonly input: string;
  readonly timeoutMs: number;
  /** Ends it early. */
  readonly signal: AbortSignal;
}

export interface HookResult {
  readonly outcome: "ended" | "timeout" | "aborted" | "not-started";
  /** Exit status; undefined when a signal ended it, or it was not started. */
  readonly status: number | undefined;
  readonly stdout: string;
  readonly stderr: string;
}

/** Resolves when it has ended; never rejects. Whatever it has left in its process group is killed. */
export function runHook(call: HookCall): Promise<HookResult> {
  try {
    const { file, environment: env } = call;
    const child = spawn(file, [], { detached: true, env, cwd: "/", stdio: "pipe" });
    return new Promise((resolve) => new Run(child, call, resolve));
  } catch (error) {
    return Promise.resolve(notStarted(error));
  }
}

class Run {
  readonly #child: ChildProcessWithoutNullStreams;
  readonly #resolve: (result: HookResult) => void;
  readonly #signal: AbortSignal;
  readonly #output: readonly [() => string, () => string];
  readonly #abort = (): void => this.#stop("aborted");
  #outcome: "ended" | "timeout" | "aborted" = "ended";
  #status: number | undefined;
  #timer: NodeJS.Timeout;

  constructor(
    child: ChildProcessWithoutNullStreams,
    { input, timeoutMs, signal }: HookCall,
    resolve: (result: HookResult) => void,
  ) {
    this.#child = child;
    this.#resolve = resolve;
    this.#signal = signal;
    this.#output = [collect(child.stdout), collect(child.stderr)];
    this.#timer = setTimeout(() => this.#stop("timeout"), timeoutMs);
    signal.addEventListener("abort", this.#abort);
    child.once("error", (error) => this.#settle(notStarted(error)));
    child.once("exit", (status) => this.#exited(status));
    child.once("close", () => this.#done());
    child.stdin.on("error", () => {}); // it does not have to read
    child.stdin.end(input);
    if (signal.aborted) this.#stop("aborted");
  }

  #next(delayMs: number, act: () => void): void {
    clearTimeout(this.#timer);
    this.#timer = setTimeout(act, delayMs);
  }

  #stop(why: "timeout" | "aborted"): void {
    if (this.#outcome !== "ended" || this.#child.exitCode !== null) return;
    this.#outcome = why;
    signalGroup(this.#child, "SIGTERM");
    this.#next(KILL_AFTER_MS, () => {
      signalGroup(this.#child, "SIGKILL");
      this.#next(KILL_AFTER_MS, () => this.#done()); // one that nobody can kill is not waited for
    });
  }

  #exited(status: number | null): void {
    this.#status = status ?? undefined;
    signalGroup(this.#child, "SIGKILL");
    this.#next(DRAIN_MS, () => this.#done());
  }

  #done(): void {
    for (const stream of this.#child.stdio) stream?.destroy();
    const [stdout, stderr] = this.#output;
    const [outcome, status] = [this.#outcome, this.#status];
    this.#settle({ outcome, status, stdout: stdout(), stderr: stderr() });
  }

  #settle(result: HookResult): void {
    clearTimeout(this.#timer);
    this.#signal.removeEventListener("abort", this.#abort);
    this.#resolve(result);
  }
}

const notStarted = (error: unknown): HookResult => ({
  outcome: "not-started",
  status: undefined,
  stdout: "",
  stderr: error instanceof Error ? error.message : String(error),
});

/** What a stream has said so far, up to the limit. */
function collect(stream: NodeJS.ReadableStream): () => string {
  const pieces: Buffer[] = [];
  let length = 0;
  stream.on("data", (chunk: Buffer) => {
    const piece = chunk.subarray(0, MAX_OUTPUT_BYTES - length);
    length += piece.length;
    if (piece.length > 0) pieces.push(piece);
  });
  return () => Buffer.concat(pieces).toString("utf8").trim();
}

/** A group that has ended already is no mistake; one of another user may be out of reach without CAP_KILL. */
function signalGroup({ pid }: ChildProcess, name: "SIGTERM" | "SIGKILL"): void {
  if (pid === undefined) return;
  try {
    process.kill(-pid, name);
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException;
    if (code !== "ESRCH" && code !== "EPERM") throw error;
  }
}
