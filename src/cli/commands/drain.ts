// `pan drain` and `pan undrain`: take a node out of service without breaking a connection (B7).
import type { Command } from "commander";
import { examples, type Register } from "../context.ts";
import { reportChange } from "./service.ts";

const ACTIONS = [
  ["drain", "give a node no new connections; established ones finish there"],
  ["undrain", "give a drained node its share again"],
] as const;

export const registerDrain: Register = (program, context) => {
  for (const [action, description] of ACTIONS) {
    program
      .command(action)
      .description(description)
      .argument("<node>", "name of the node")
      .addHelpText("after", examples(`pan ${action} beta`))
      .action(async (node: string, _options: object, command: Command) => {
        const client = await context.connect(command);
        reportChange(context.terminal, await client[action]({ params: { node } }));
      });
  }
};
