// `pan maintenance`: take a node, or its instance of one service group, out of service, and back (B7). It is written into the
// configuration, so that it outlives restarts.
import { Argument, type Command } from "commander";
import { examples, type Register } from "../context.ts";
import { reportChange } from "./service.ts";

export const registerMaintenance: Register = (program, context) => {
  program
    .command("maintenance")
    .description(
      "take a node out of service, or one service group on it; established connections go on",
    )
    .addArgument(
      new Argument("<state>", "on: out of service; off: in service again").choices(["on", "off"]),
    )
    .argument("<node>", "name of the node")
    .option("-g, --group <name>", "only its instance of this service group")
    .addHelpText(
      "after",
      examples("pan maintenance on beta", "pan maintenance off beta --group web"),
    )
    .action(
      async (
        state: "on" | "off",
        node: string,
        { group }: { group?: string },
        command: Command,
      ) => {
        const client = await context.connect(command);
        const body = { on: state === "on", ...(group === undefined ? {} : { group }) };
        reportChange(context.terminal, await client.setMaintenance({ params: { node }, body }));
      },
    );
};
