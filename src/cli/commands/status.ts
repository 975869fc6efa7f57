// `pan status`: what this node knows of itself, its cluster and its traffic; once, or again and again.
import { setTimeout as sleep } from "node:timers/promises";
import { type Command, InvalidArgumentError } from "commander";
import type { Client } from "#api/client.ts";
import { PanError } from "#base/error-codes.ts";
import { type Context, examples, printJson, type Register } from "../context.ts";
import { renderStatus } from "../status-screen.ts";

const DEFAULT_WATCH_SECONDS = 2;
const CLEAR_SCREEN = "\u001b[H\u001b[2J\u001b[3J";

interface Options {
  readonly json?: true;
  readonly watch?: number | true;
}

export const registerStatus: Register = (program, context) => {
  program
    .command("status")
    .description("show members, master, tables and rates as this node sees them")
    .option("--json", "print one JSON object (with --watch: one a line)")
    .option(
      "-w, --watch [seconds]",
      `show it again every so often, until Ctrl-C (default: ${DEFAULT_WATCH_SECONDS} s)`,
      parseSeconds,
    )
    .addHelpText("after", examples("pan status", "pan status --watch 1", "pan status --json"))
    .action(async (options: Options, command: Command) => {
      const client = await context.connect(command);
      const json = options.json ?? false;
      if (options.watch === undefined) return show(context, client, json);
      const seconds = options.watch === true ? DEFAULT_WATCH_SECONDS : options.watch;
      return watch(context, client, { json, everyMs: seconds * 1000 });
    });
};

function parseSeconds(text: string): number {
  const seconds = Number(text);
  if (seconds >= 0.1 && seconds <= 3600) return seconds;
  throw new InvalidArgumentError("give seconds, 0.1 to 3600");
}

async function show({ terminal }: Context, client: Client, json: boolean): Promise<void> {
  const status = await client.status({});
  if (json) printJson(terminal, status);
  else terminal.out(renderStatus(status, terminal.colour));
}

interface Watch {
  readonly json: boolean;
  readonly everyMs: number;
}

/** An agent that restarts does not end the watch: the page says so until it is back. */
async function watch(context: Context, client: Client, { json, everyMs }: Watch): Promise<void> {
  const { terminal } = context;
  const signal = terminal.interrupted();
  while (!signal.aborted) {
    const page = await currentPage(context, client, json);
    if (terminal.interactive && !json) terminal.out(CLEAR_SCREEN);
    terminal.out(page);
    await sleep(everyMs, undefined, { signal }).catch(() => undefined); // rejects only when aborted
  }
}

async function currentPage({ terminal }: Context, client: Client, json: boolean): Promise<string> {
  try {
    const status = await client.status({});
    return json ? `${JSON.stringify(status)}\n` : renderStatus(status, terminal.colour);
  } catch (error) {
    if (!(error instanceof PanError) || error.code !== "PAN_AGENT_UNREACHABLE") throw error;
    const { code, message } = error;
    return json ? `${JSON.stringify({ error: { code, message } })}\n` : `${message} [${code}]\n`;
  }
}
