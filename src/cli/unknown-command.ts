// A command that is not there is a mistake also when help is asked for: otherwise Commander prints the help of the level above and
// a script takes it for success. So help is left out of such a line, and what remains is refused with a suggestion.
import type { Command } from "commander";

const isHelp = (word: string): boolean => ["--help", "-h", "help"].includes(word);

/** Whether an option of the command takes the next word. */
function takesValue(command: Command, word: string): boolean {
  for (let level: Command | null = command; level !== null; level = level.parent) {
    const option = level.options.find(({ long, short }) => word === long || word === short);
    if (option !== undefined) return option.required || option.optional;
  }
  return false;
}

/** Whether the words ask for a command that does not exist. */
function asksForUnknown(program: Command, words: readonly string[]): boolean {
  let command = program;
  for (let at = 0; at < words.length && command.commands.length > 0; at++) {
    const word = words[at] ?? "";
    if (word === "--") return false;
    if (word.startsWith("-")) {
      if (takesValue(command, word)) at += 1;
      continue;
    }
    if (word === "help") continue;
    const next = command.commands.find((each) => each.name() === word);
    if (next === undefined) return true;
    command = next;
  }
  return false;
}

/** The words that are to be parsed. */
export const withoutMisleadingHelp = (
  program: Command,
  words: readonly string[],
): readonly string[] =>
  asksForUnknown(program, words) ? words.filter((word) => !isHelp(word)) : words;
