// `pan config check` and `pan config docs`: the part of `pan config` that needs no agent.
import type { Command } from "commander";
import { PanError } from "#base/error-codes.ts";
import { configVersion, virtualAddresses } from "#config/config.ts";
import { formatProblem, loadConfig } from "#config/load.ts";
import { configReference } from "#config/reference.ts";
import type { ClusterConfig } from "#config/schema.ts";
import { readText } from "../cluster-file.ts";
import { examples, type Register } from "../context.ts";

export const registerConfig: Register = (program, context) => {
  const config = configCommand(program);
  config
    .command("check")
    .description("check a cluster configuration; every problem with file, line and column")
    .argument("<file>", "cluster configuration")
    .addHelpText("after", examples("pan config check cluster.yaml"))
    .action((file: string) => {
      const loaded = loadConfig(readText(file), file);
      if (loaded.ok) {
        context.terminal.out(`${file} is valid: ${summary(loaded.config)}\n`);
        return;
      }
      for (const problem of loaded.problems) context.terminal.err(`${formatProblem(problem)}\n`);
      const count = loaded.problems.length;
      const what = count === 1 ? "a problem" : `${count} problems`;
      throw new PanError("PAN_CONFIG_INVALID", `${file} has ${what}`);
    });
  config
    .command("docs")
    .description("print the reference of the configuration")
    .addHelpText("after", examples("pan config docs | less"))
    .action(() => context.terminal.out(configReference()));
};

/** `pan config` also has commands that speak to the agent; whoever comes first makes the group. */
function configCommand(program: Command): Command {
  const present = program.commands.find((command) => command.name() === "config");
  return present ?? program.command("config").description("work with the cluster configuration");
}

function summary(config: ClusterConfig): string {
  const services = config.groups.reduce((sum, group) => sum + group.services.length, 0);
  const parts: readonly [number, string][] = [
    [config.nodes.length, "node"],
    [config.groups.length, "service group"],
    [services, "service"],
    [virtualAddresses(config).length, "virtual address"],
  ];
  const counted = parts.map(([count, what]) => `${count} ${count === 1 ? what : plural(what)}`);
  return `${counted.join(", ")}; digest ${configVersion(0, config).digest}`;
}

const plural = (word: string): string => (word.endsWith("s") ? `${word}es` : `${word}s`);
