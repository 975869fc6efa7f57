// `pan apps`: the programs and scripts on this machine that are told what happens, and asked about joins (A10).
import type { Command } from "commander";
import type { ApplicationsStatus } from "#api/applications.ts";
import { examples, printJson, type Register, type Terminal } from "../context.ts";
import { formatDuration } from "../quantity.ts";
import { formatTable } from "../table.ts";

export const registerApps: Register = (program, context) => {
  program
    .command("apps")
    .description("show the applications and hooks of this node, and what was counted")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan apps", "pan apps --json"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const status = await (await context.connect(command)).applications({});
      if (json) printJson(context.terminal, status);
      else context.terminal.out(`${page(status, context.terminal).join("\n")}\n`);
    });
};

function page({ socket, applications, hooks, counts }: ApplicationsStatus, terminal: Terminal) {
  const heading = (text: string): string => (terminal.colour ? `\u001b[1m${text}\u001b[0m` : text);
  const programs = formatTable(
    [
      { title: "NAME" },
      { title: "VOTES" },
      { title: "CONNECTED", align: "right" },
      { title: "EVENTS", align: "right" },
      { title: "ASKED", align: "right" },
      { title: "ANSWERED", align: "right" },
      { title: "UNREAD", align: "right" },
    ],
    applications.map((each) => [
      each.name,
      each.votes ? "yes" : "no",
      formatDuration(each.connectedMs),
      String(each.events),
      String(each.asked),
      String(each.answered),
      `${each.queuedBytes} B`,
    ]),
  );
  const scripts = formatTable(
    [{ title: "FILE" }, { title: "USE" }, { title: "PROBLEM" }],
    hooks.files.map(({ file, use, problem }) => [file, use, problem ?? ""]),
  );
  const counted = formatTable(
    [{ title: "REASON" }, { title: "COUNT", align: "right" }],
    counts.map(({ reason, count }) => [reason, String(count)]),
  );
  const waiting = hooks.waiting === 0 ? "" : `, ${hooks.waiting} events wait`;
  return [
    heading(`Applications on ${socket}`),
    ...(applications.length === 0 ? ["  none is connected"] : programs),
    "",
    heading(`Hooks in ${hooks.folder}${waiting}`),
    ...(hooks.files.length === 0 ? ["  none"] : scripts),
    ...(counts.length === 0 ? [] : ["", heading("Counted"), ...counted]),
  ];
}
