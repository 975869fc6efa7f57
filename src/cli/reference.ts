// docs/reference/cli.md, written from the help that the program itself prints.
import type { Command } from "commander";
import { recordingTerminal } from "./recording-terminal.ts";
import { buildProgram } from "./program.ts";

const WIDTH = 100;

const INTRODUCTION = `# The command line

Written from \`pan --help\` by \`node tools/reference.ts\`; a test holds it to the program.

\`pan\` speaks to this node's agent over its Unix socket ([api.md](api.md)); a change may be asked of any node.

- Exit status: 0 done, 1 failed, 2 not understood.
- A failure is one line on standard error, \`pan: MESSAGE [CODE]\`; the codes are in [errors.md](errors.md).
- With \`--json\` standard output is exactly one JSON object; that of a failure is \`{"error": {"code", "message"}}\`.
- No colours when the output is no terminal, or when NO_COLOR is set.
- Completion: \`pan completion bash|zsh|fish\`; it knows the nodes and groups of the running cluster.
`;

/** The page, ending in a line break. */
export async function cliReference(): Promise<string> {
  const terminal = recordingTerminal();
  const program = await buildProgram(terminal);
  const sections = leaves(program).map((command) => {
    terminal.written.out = "";
    command.configureOutput({ getOutHelpWidth: () => WIDTH }).outputHelp();
    return `## ${nameOf(command)}\n\n\`\`\`\n${terminal.written.out.trim()}\n\`\`\`\n`;
  });
  return [INTRODUCTION, ...sections].join("\n");
}

const nameOf = (command: Command): string =>
  command.parent === null ? command.name() : `${nameOf(command.parent)} ${command.name()}`;

function leaves(command: Command): Command[] {
  const shown = command
    .createHelp()
    .visibleCommands(command)
    .filter((sub) => sub.name() !== "help");
  return [command, ...shown.flatMap(leaves)];
}
