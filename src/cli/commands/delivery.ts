// `pan delivery`: how client traffic reaches the members, and its change at run time (A13).
import { Argument, type Command } from "commander";
import type { Changed } from "#api/contract.ts";
import { DELIVERY_METHODS, type DeliveryMethod } from "#base/delivery.ts";
import { type Context, examples, printJson, type Register } from "../context.ts";
import { deliveryText } from "../status-screen.ts";
import { reportChange } from "./service.ts";

export const registerDelivery: Register = (program, context) => {
  const delivery = program
    .command("delivery")
    .description("show or change how client traffic reaches the members");
  registerShow(delivery, context);
  registerSet(delivery, context);
};

function registerShow(delivery: Command, context: Context): void {
  delivery
    .command("show")
    .description("show the method in force, and the MAC address that clients send to")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan delivery show"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const { cluster } = await (await context.connect(command)).status({});
      if (json) return printJson(context.terminal, cluster.delivery);
      context.terminal.out(`${deliveryText(cluster.delivery)}\n`);
    });
}

function registerSet(delivery: Command, context: Context): void {
  delivery
    .command("set")
    .description("change the method; established connections go on")
    .addArgument(
      new Argument(
        "<method>",
        "forward: one member receives and forwards; the others: every member receives, one serves",
      ).choices(DELIVERY_METHODS),
    )
    .addHelpText("after", examples("pan delivery set unicast"))
    .action(async (method: DeliveryMethod, _options: object, command: Command) => {
      const client = await context.connect(command);
      const changed: Changed = await client.setDelivery({ body: { method } });
      reportChange(context.terminal, changed);
    });
}
