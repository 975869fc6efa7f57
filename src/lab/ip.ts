// Runs iproute2 with many commands at once: one process for each namespace, not one for each change.
import { execFile, spawnSync } from "node:child_process";
import { PanError } from "#base/error-codes.ts";
import { identify, type ProcessId } from "./processes.ts";

const batchArguments = (netns: string | undefined, force: boolean): string[] => [
  ...(netns === undefined ? [] : ["-n", netns]),
  ...(force ? ["-force"] : []),
  "-batch",
  "-",
];

/** iproute2 names the line that failed, "Command failed -:3"; operators want to see the command. */
function explain(lines: readonly string[], stderr: string): string {
  const line = /Command failed -:(\d+)/.exec(stderr)?.[1];
  const command = line === undefined ? lines.join("; ") : (lines[Number(line) - 1] ?? "");
  const reason = stderr.replace(/Command failed.*/g, "").trim();
  return `"ip ${command}": ${reason === "" ? "no reason given" : reason}`;
}

/**
 * Runs the commands of one namespace (the machine's own without one) in order; the first that fails
 * ends it with PAN_LAB_FAILED.
 */
export async function ipBatch(lines: readonly string[], netns?: string): Promise<void> {
  if (lines.length === 0) return;
  await run("ip", batchArguments(netns, false), `${lines.join("\n")}\n`).catch((error: unknown) => {
    const where = netns === undefined ? "" : ` in ${netns}`;
    const reason = explain(lines, error instanceof ToolError ? error.stderr : String(error));
    throw new PanError("PAN_LAB_FAILED", `The lab's network cannot be changed${where}: ${reason}`, {
      cause: error,
    });
  });
}

/**
 * The same, but at once and regardless of failures: for taking a lab down, where what is not there
 * any more cannot be removed again. Gives back what iproute2 complained about.
 */
export function ipBatchSync(lines: readonly string[], netns?: string): string {
  if (lines.length === 0) return "";
  const result = spawnSync("ip", batchArguments(netns, true), {
    input: `${lines.join("\n")}\n`,
    encoding: "utf8",
  });
  if (result.error !== undefined) throw missing("ip", result.error);
  return result.stderr;
}

/** The JSON that `ip -j` prints about one namespace. */
export async function ipJson(netns: string, args: readonly string[]): Promise<unknown> {
  const text = await run("ip", ["-n", netns, "-j", ...args], "");
  return text.trim() === "" ? [] : JSON.parse(text);
}

/** Runs `tc` in a namespace and gives back its output. Throws PAN_LAB_FAILED. */
export async function tc(netns: string, args: readonly string[]): Promise<string> {
  return run("tc", ["-n", netns, ...args], "").catch((error: unknown) => {
    const reason = error instanceof ToolError ? error.stderr.trim() : String(error);
    const message = `"tc ${args.join(" ")}" failed in ${netns}: ${reason}`;
    throw new PanError("PAN_LAB_FAILED", message, { cause: error });
  });
}

/** A script of nftables, in one transaction. */
export async function nft(netns: string, script: string): Promise<void> {
  await run("ip", ["netns", "exec", netns, "nft", "-f", "-"], script);
}

class ToolError extends Error {
  readonly stderr: string;

  constructor(message: string, stderr: string) {
    super(message);
    this.stderr = stderr;
  }
}

const missing = (tool: string, cause: Error): PanError =>
  new PanError("PAN_LAB_FAILED", `Cannot run ${tool} (${cause.message}); install iproute2`, {
    cause,
  });

const running = new Set<ProcessId>();
/** Tools of this process that have not ended yet. */
export const runningTools = (): readonly ProcessId[] => [...running];

async function run(tool: string, args: readonly string[], input: string): Promise<string> {
  return new Promise((resolve, reject) => {
    const child = execFile(tool, args, { maxBuffer: 16 * 1024 * 1024 }, (error, stdout, stderr) => {
      if (error === null) resolve(stdout);
      else if (error.code === "ENOENT") reject(missing(tool, error));
      else reject(new ToolError(error.message, stderr));
    });
    const id = child.pid === undefined ? undefined : identify(child.pid);
    if (id !== undefined) running.add(id);
    // who refuses the first command closes its input early; the exit status says what happened
    child.stdin?.on("error", () => undefined);
    child.stdin?.end(input);
  });
}
