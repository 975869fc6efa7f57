// `pan completion`: the script for a shell, and the hidden command by which that script asks for candidates.
import { Argument, type Command } from "commander";
import { complete, completionScript, SHELLS, type Shell } from "../completion.ts";
import { type Context, examples, type Register } from "../context.ts";

/** A key press must not wait for an agent that hangs. */
const AGENT_TIMEOUT_MS = 3000;

export const registerCompletion: Register = (program, context) => {
  program
    .command("completion")
    .description("print a completion script for a shell")
    .addArgument(new Argument("<shell>").choices(SHELLS))
    .addHelpText(
      "after",
      examples(
        "pan completion bash > /etc/bash_completion.d/pan",
        'pan completion zsh > "${fpath[1]}/_pan"',
        "pan completion fish > ~/.config/fish/completions/pan.fish",
      ),
    )
    .action((shell: Shell) => context.terminal.out(completionScript(shell)));
  program
    .command("__complete", { hidden: true })
    .argument("[words...]")
    .helpOption(false)
    .allowUnknownOption()
    .action(async (words: string[], _options: object, command: Command) => {
      const names = (argument: string): Promise<readonly string[]> =>
        namesFromAgent(context, command, argument);
      for (const word of await complete(program, words, names)) context.terminal.out(`${word}\n`);
    });
};

/** Names of nodes and groups, from the agent; none where it cannot be asked: a shell has no place for errors. */
async function namesFromAgent(
  context: Context,
  command: Command,
  argument: string,
): Promise<readonly string[]> {
  if (argument !== "node" && argument !== "group") return [];
  try {
    const client = await context.connect(command, AGENT_TIMEOUT_MS);
    const { members, groups } = await client.status({});
    return (argument === "node" ? members : groups).map(({ name }) => name);
  } catch {
    return [];
  }
}
