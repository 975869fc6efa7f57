// What a command gets besides its arguments: a place to write to, and a way to the agent.
import type { Command } from "commander";
import type { Client } from "#api/client.ts";

export interface Terminal {
  readonly out: (text: string) => void;
  readonly err: (text: string) => void;
  /** Whether to use colours (a terminal, and no NO_COLOR). */
  readonly colour: boolean;
  /** Whether a person looks at the output: a screen may be cleared. */
  readonly interactive: boolean;
  /** Aborted when the operator wants an endless command to stop (Ctrl-C). */
  readonly interrupted: () => AbortSignal;
}

export interface Context {
  readonly terminal: Terminal;
  /** A client on the socket that the command line names. */
  connect(command: Command, timeoutMs?: number): Promise<Client>;
}

/** Adds one or more commands to the program. */
export type Register = (program: Command, context: Context) => void;

export const printJson = (terminal: Terminal, value: unknown): void =>
  terminal.out(`${JSON.stringify(value)}\n`);

/** The lines below a command's help. Each example is a command line, without its prompt. */
export const examples = (...lines: readonly string[]): string =>
  `\nExamples:\n${lines.map((line) => `  $ ${line}`).join("\n")}`;
