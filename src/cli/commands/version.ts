// `pan version`: of this program, and of the agent where one answers. After an upgrade they differ until
// the agent is restarted.
import { release } from "node:os";
import { panoplyVersion } from "#daemon/package-version.ts";
import type { Version } from "#api/contract.ts";
import { PanError } from "#base/error-codes.ts";
import { type Context, examples, printJson, type Register } from "../context.ts";
import type { Command } from "commander";

/** A version must not wait long for an agent that hangs. */
const AGENT_TIMEOUT_MS = 2000;

export const registerVersion: Register = (program, context) => {
  program
    .command("version")
    .description("show the version of this program and of the running agent")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan version", "pan version --json"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const own: Version = {
        panoply: panoplyVersion,
        node: process.versions.node,
        kernel: release(),
      };
      const agent = await agentVersion(context, command);
      if (json) return printJson(context.terminal, { ...own, agent: agent ?? null });
      context.terminal.out(
        `pan ${own.panoply} (Node.js ${own.node}, Linux ${own.kernel})\n` +
          (agent === undefined
            ? "no agent is running here\n"
            : `agent ${agent.panoply} (Node.js ${agent.node})\n`),
      );
    });
};

async function agentVersion(context: Context, command: Command): Promise<Version | undefined> {
  try {
    return await (await context.connect(command, AGENT_TIMEOUT_MS)).version({});
  } catch (error) {
    // No agent, or none that this user may ask: the program's own version is still an answer.
    if (error instanceof PanError && error.code !== "PAN_INTERNAL") return undefined;
    throw error;
  }
}
