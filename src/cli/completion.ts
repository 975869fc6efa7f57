// Shell completion: which words may come next. The shell asks `pan __complete -- WORD...` on every Tab, so
// the candidates are those of the very program that will run, and include the names in the running cluster.
import type { Argument, Command, Option } from "commander";

export const SHELLS = ["bash", "zsh", "fish"] as const;
export type Shell = (typeof SHELLS)[number];

/** What stands between the words and the shell. Where nothing fits, bash and zsh offer file names. */
export function completionScript(shell: Shell): string {
  switch (shell) {
    case "bash":
      return `_pan() {
  mapfile -t COMPREPLY < <(pan __complete -- "\${COMP_WORDS[@]:1:COMP_CWORD}" 2>/dev/null)
}
complete -o default -F _pan pan
`;
    case "zsh":
      return `#compdef pan
_pan() {
  local -a candidates
  candidates=("\${(@f)$(pan __complete -- "\${(@)words[2,CURRENT]}" 2>/dev/null)}")
  if [[ -n "$candidates" ]]; then compadd -- "\${candidates[@]}"; else _files; fi
}
# zsh runs this file for the first completion, and the function from then on
if [[ "\${funcstack[1]}" == "_pan" ]]; then _pan; else compdef _pan pan; fi
`;
    case "fish":
      return `complete -c pan -a '(pan __complete -- (commandline -opc)[2..] (commandline -ct) 2>/dev/null)'
`;
  }
}

/** Names that only the running cluster knows, for an argument of this name ("node", "group"). */
export type NamesFor = (argument: string) => Promise<readonly string[]>;

interface Position {
  readonly command: Command;
  /** How many of the command's arguments are given already. */
  readonly given: number;
  /** The option whose value is being typed. */
  readonly option: Option | undefined;
}

/** Candidates for the last of the words, all of which follow the program's name. */
export async function complete(
  program: Command,
  words: readonly string[],
  namesFor: NamesFor,
): Promise<string[]> {
  const last = words.at(-1) ?? "";
  const { command, given, option } = locate(program, words.slice(0, -1));
  const candidates =
    option === undefined
      ? await following(command, given, last, namesFor)
      : (option.argChoices ?? []);
  return candidates.filter((candidate) => candidate.startsWith(last));
}

const optionsOf = (command: Command): Option[] => [
  ...command.options,
  ...(command.parent === null ? [] : optionsOf(command.parent)),
];

function locate(program: Command, words: readonly string[]): Position {
  let command = program;
  let given = 0;
  let option: Option | undefined;
  for (const word of words) {
    if (option !== undefined) option = undefined;
    else if (word.startsWith("-")) {
      const named = optionsOf(command).find(({ short, long }) => word === short || word === long);
      option = named?.required === true ? named : undefined;
    } else {
      const next = command.commands.find((sub) => sub.name() === word);
      if (next === undefined) given += 1;
      else [command, given] = [next, 0];
    }
  }
  return { command, given, option };
}

async function following(
  command: Command,
  given: number,
  last: string,
  namesFor: NamesFor,
): Promise<readonly string[]> {
  if (last.startsWith("-")) {
    return [
      ...optionsOf(command).flatMap(({ long, hidden }) => (hidden ? [] : (long ?? []))),
      "--help",
    ];
  }
  const commands = command.createHelp().visibleCommands(command);
  if (commands.length > 0) return given > 0 ? [] : commands.map((sub) => sub.name());
  const argument = argumentAt(command, given);
  return argument?.argChoices ?? (argument === undefined ? [] : namesFor(argument.name()));
}

function argumentAt({ registeredArguments }: Command, index: number): Argument | undefined {
  const last = registeredArguments.at(-1);
  return registeredArguments[index] ?? (last?.variadic === true ? last : undefined);
}
