// `pan metrics`: the agent's numbers in the Prometheus text format, for a scraper's textfile or a quick look.
import type { Command } from "commander";
import { examples, type Register } from "../context.ts";

export const registerMetrics: Register = (program, context) => {
  program
    .command("metrics")
    .description("print the agent's metrics in the Prometheus text format")
    .addHelpText("after", examples("pan metrics | grep panoply_member"))
    .action(async (_options: object, command: Command) => {
      context.terminal.out(await (await context.connect(command)).metrics());
    });
};
