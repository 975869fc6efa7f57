// `pan config apply` and `pan config show`: the part of `pan config` that speaks to the agent.
import { readFile } from "node:fs/promises";
import { text as readAll } from "node:stream/consumers";
import type { Command } from "commander";
import { PanError } from "#base/error-codes.ts";
import { examples, printJson, type Register } from "../context.ts";
import { reportChange } from "./service.ts";

export const registerConfigApply: Register = (program, context) => {
  const config =
    program.commands.find((command) => command.name() === "config") ?? program.command("config");
  config
    .command("apply")
    .description("replace the cluster's configuration: checked first, then all of it or nothing")
    .argument("<file>", "cluster configuration; - reads standard input")
    .option("--force", "also what would cut members off from each other, by what the master knows")
    .addHelpText(
      "after",
      examples("pan config apply cluster.yaml", "pan config apply - < cluster.yaml"),
    )
    .action(async (file: string, { force }: { force?: true }, command: Command) => {
      const body = { yaml: await readConfig(file), ...(force === undefined ? {} : { force }) };
      const changed = await (await context.connect(command)).putConfig({ body });
      reportChange(context.terminal, changed);
    });
  config
    .command("show")
    .description("print the configuration that the cluster runs")
    .option("--json", "print one JSON object with its version")
    .addHelpText("after", examples("pan config show > cluster.yaml"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const current = await (await context.connect(command)).config({});
      if (json) printJson(context.terminal, current);
      else context.terminal.out(current.yaml);
    });
};

async function readConfig(file: string): Promise<string> {
  try {
    return file === "-" ? await readAll(process.stdin) : await readFile(file, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    throw new PanError("PAN_CONFIG_UNREADABLE", `Cannot read the configuration: ${reason}`, {
      cause,
    });
  }
}
