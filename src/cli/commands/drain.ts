// `pan drain` and `pan undrain`: take a node out of service without breaking a connection, or none before a deadline (B7).
import type { Command } from "commander";
import { examples, type Register } from "../context.ts";
import { parseDuration } from "../quantity.ts";
import { reportChange } from "./service.ts";

export const registerDrain: Register = (program, context) => {
  program
    .command("drain")
    .description("give a node no new connections; established ones finish there")
    .argument("<node>", "name of the node")
    .option(
      "-d, --deadline <time>",
      "close the connections that are left after so long: 500ms, 60s, 10m, 2h",
      parseDuration,
    )
    .addHelpText("after", examples("pan drain beta", "pan drain beta --deadline 60s"))
    .action(async (node: string, { deadline }: { deadline?: number }, command: Command) => {
      const client = await context.connect(command);
      const params = { node };
      const changed =
        deadline === undefined
          ? await client.drain({ params })
          : await client.drainWithin({ params, body: { deadlineMs: deadline } });
      reportChange(context.terminal, changed);
    });
  program
    .command("undrain")
    .description("give a drained node its share again")
    .argument("<node>", "name of the node")
    .addHelpText("after", examples("pan undrain beta"))
    .action(async (node: string, _options: object, command: Command) => {
      const client = await context.connect(command);
      reportChange(context.terminal, await client.undrain({ params: { node } }));
    });
};
