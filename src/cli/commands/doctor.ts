// `pan doctor`: looks at this host and asks the network, says what is not as the cluster needs it, and what to do.
import type { Command } from "commander";
import type { Diagnosis } from "#api/peers.ts";
import { examples, printJson, type Register } from "../context.ts";

const MARKS = { ok: "ok     ", warning: "warning", wrong: "WRONG  " } as const;

export const registerDoctor: Register = (program, context) => {
  program
    .command("doctor")
    .description("check this host and its network, and say what to change; changes nothing")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan doctor", "pan doctor --json"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const diagnosis = await (await context.connect(command)).doctor({});
      if (json) printJson(context.terminal, diagnosis);
      else context.terminal.out(`${page(diagnosis).join("\n")}\n`);
    });
};

const page = ({ findings }: Diagnosis): string[] =>
  findings.flatMap(({ check, verdict, found, remedy }) => [
    `${MARKS[verdict]}  ${check}: ${found}`,
    ...(remedy === undefined ? [] : [`         ${remedy}`]),
  ]);
