// The command line of `npm run sim`.
import { parseArgs } from "node:util";

export const USAGE = `usage: npm run sim -- [OPTION...]   whole clusters on virtual time, with faults, from one seed each

  --seed N      first seed (1); one seed replays its run exactly
  --seeds K     how many seeds, one after the other (1)
  --nodes N     nodes of the cluster, 1 … 16 (5)
  --minutes M   simulated minutes of each run (30)
  --digests     print the digest of each run's transcript
  --json        one JSON object on standard output
  --soak        seed after seed until Ctrl-C or a violation
  --scale       messages, bytes and time to converge for 3 … 1000 members

Exits with 0 only when no checker found a violation; with 2 when the command is not understood.`;

export interface SimOptions {
  readonly command: "run" | "soak" | "scale" | "help";
  readonly seed: number;
  readonly seeds: number;
  readonly nodes: number;
  readonly minutes: number;
  readonly digests: boolean;
  readonly json: boolean;
}

/** What is wrong with the command line. */
export class UsageError extends Error {
  override readonly name = "UsageError";
}

function whole(name: string, text: string, range: { min: number; max: number }): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= range.min && value <= range.max && text.trim() !== "") {
    return value;
  }
  throw new UsageError(
    `--${name} is a whole number from ${range.min} to ${range.max}, not "${text}"`,
  );
}

function parsed(args: readonly string[]) {
  try {
    return parseArgs({
      args: [...args],
      options: {
        seed: { type: "string", default: "1" },
        seeds: { type: "string", default: "1" },
        nodes: { type: "string", default: "5" },
        minutes: { type: "string", default: "30" },
        digests: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        soak: { type: "boolean", default: false },
        scale: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

/** Throws a UsageError that says what to write instead. */
export function readOptions(args: readonly string[]): SimOptions {
  const values = parsed(args);
  if (values.soak && values.scale) throw new UsageError("--soak and --scale exclude each other");
  const command = values.help ? "help" : values.soak ? "soak" : values.scale ? "scale" : "run";
  return {
    command,
    seed: whole("seed", values.seed, { min: 0, max: 2 ** 31 }),
    seeds: whole("seeds", values.seeds, { min: 1, max: 1_000_000 }),
    nodes: whole("nodes", values.nodes, { min: 1, max: 16 }),
    minutes: whole("minutes", values.minutes, { min: 1, max: 10_000 }),
    digests: values.digests,
    json: values.json,
  };
}
