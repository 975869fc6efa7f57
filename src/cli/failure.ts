// What the operator sees when a command fails, and the exit status: 1 it failed, 2 it was not understood.
import { CommanderError } from "commander";
import { PanError } from "#base/error-codes.ts";
import { printJson, type Terminal } from "./context.ts";

export const EXIT_OK = 0;
export const EXIT_FAILED = 1;
export const EXIT_USAGE = 2;

/** The command line is wrong in a way that only the command itself can see. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

interface Described {
  readonly code: string;
  readonly message: string;
}

function describe(error: unknown): Described {
  if (error instanceof UsageError) return { code: "PAN_REQUEST_INVALID", message: error.message };
  if (error instanceof PanError) return { code: error.code, message: error.message };
  if (error instanceof Error && "syscall" in error) {
    return { code: "PAN_SYSCALL", message: error.message };
  }
  const message = error instanceof Error ? (error.stack ?? error.message) : String(error);
  return { code: "PAN_INTERNAL", message };
}

/** One line on stderr, or with --json one object {error: {code, message}} on stdout. */
export function reportFailure(terminal: Terminal, error: unknown, json: boolean): number {
  if (error instanceof CommanderError) return reportUsage(terminal, error, json);
  const { code, message } = describe(error);
  if (json) printJson(terminal, { error: { code, message } });
  else terminal.err(`pan: ${message} [${code}]\n`);
  return error instanceof UsageError ? EXIT_USAGE : EXIT_FAILED;
}

/** Commander has printed its own text by now, unless that was withheld for --json. */
function reportUsage(terminal: Terminal, error: CommanderError, json: boolean): number {
  if (error.exitCode === 0) return EXIT_OK; // help or version was asked for
  if (json) {
    const message = error.message.replace(/^error: /, "");
    printJson(terminal, { error: { code: "PAN_REQUEST_INVALID", message } });
  }
  return EXIT_USAGE;
}
