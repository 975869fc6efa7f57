// `pan vips`: which node answers for which virtual address, who would next, and moves by the operator (B10).
import type { Command } from "commander";
import type { Changed, Status } from "#api/contract.ts";
import { type Context, examples, printJson, type Register } from "../context.ts";
import { vipTable } from "../status-screen.ts";
import { reportChange } from "./service.ts";

export const registerVips: Register = (program, context) => {
  const vips = program
    .command("vips")
    .description("show or change which node answers for which virtual address");
  registerShow(vips, context);
  registerMove(vips, context);
  registerRelease(vips, context);
};

function registerShow(vips: Command, context: Context): void {
  vips
    .command("show", { isDefault: true })
    .description("show the interface node of each virtual address, and its backups, best first")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan vips", "pan vips show --json"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const status: Status = await (await context.connect(command)).status({});
      if (json) return printJson(context.terminal, status.vips);
      context.terminal.out(`${vipTable(status.vips).join("\n")}\n`);
    });
}

function registerMove(vips: Command, context: Context): void {
  vips
    .command("move")
    .description("make a node the first interface node of a virtual address; connections go on")
    .argument("<vip>", "the virtual address")
    .argument("<node>", "name of the node")
    .addHelpText("after", examples("pan vips move 10.77.0.100 node-b"))
    .action(async (vip: string, node: string, _options: object, command: Command) => {
      const client = await context.connect(command);
      const changed: Changed = await client.moveVip({ params: { vip }, body: { node } });
      reportChange(context.terminal, changed);
    });
}

function registerRelease(vips: Command, context: Context): void {
  vips
    .command("release")
    .description("spread a virtual address with the others again; connections go on")
    .argument("<vip>", "the virtual address")
    .addHelpText("after", examples("pan vips release 10.77.0.100"))
    .action(async (vip: string, _options: object, command: Command) => {
      const client = await context.connect(command);
      const changed: Changed = await client.releaseVip({ params: { vip } });
      reportChange(context.terminal, changed);
    });
}
