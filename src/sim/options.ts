// The command line of `npm run sim`.
import { parseArgs } from "node:util";

export const USAGE = `usage: npm run sim -- [OPTION...]   whole clusters on virtual time, with faults, from one seed each

  --seed N      first seed (1); one seed replays its run exactly
  --seeds K     how many seeds, one after the other (1)
  --nodes N     nodes of the cluster, 1 … 16 (5)
  --minutes M   simulated minutes of each run (30)
  --balancing   instead of faults: load that shifts, and a group that is balanced by what its members measure
  --spread      VIPs on several interface nodes, moved by operators and faults
  --digests     print the digest of each run's transcript
  --json        one JSON object on standard output
  --soak        seed after seed until Ctrl-C or a violation
  --hours H     seed after seed until H cluster-hours; nodes and minutes of each run follow from its seed
                --first-seed N (1, or where the log ends), --nodes A-B (3-5), --log FILE to append to and go on
                from, --keep-going after a violation, --workers N to run N seeds at once (1)
  --scale       messages, bytes and time to converge for 3 … 1000 members

Exits with 0 only when no checker found a violation; with 2 when the command is not understood.`;

/** From one number to another, both included. */
export interface Range {
  readonly least: number;
  readonly most: number;
}

export interface BulkOptions {
  readonly hours: number;
  /** Undefined: where the log ends. */
  readonly firstSeed: number | undefined;
  readonly nodes: Range;
  readonly log: string | undefined;
  readonly keepGoing: boolean;
  /** Seeds that run at once. */
  readonly workers: number;
}

export interface SimOptions {
  readonly command: "run" | "soak" | "scale" | "help";
  /** Instead of the command: so many hours. */
  readonly bulk: BulkOptions | undefined;
  readonly seed: number;
  readonly seeds: number;
  readonly nodes: number;
  readonly minutes: number;
  /** Runs of balancing-run.ts. */
  readonly balancing: boolean;
  readonly spread: boolean;
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
        nodes: { type: "string" },
        minutes: { type: "string", default: "30" },
        balancing: { type: "boolean", default: false },
        spread: { type: "boolean", default: false },
        digests: { type: "boolean", default: false },
        json: { type: "boolean", default: false },
        soak: { type: "boolean", default: false },
        hours: { type: "string" },
        "first-seed": { type: "string" },
        log: { type: "string" },
        "keep-going": { type: "boolean", default: false },
        workers: { type: "string" },
        scale: { type: "boolean", default: false },
        help: { type: "boolean", default: false },
      },
    }).values;
  } catch (error) {
    throw new UsageError(error instanceof Error ? error.message : String(error), { cause: error });
  }
}

const SEEDS = { min: 0, max: 2 ** 31 };
const NODES = { min: 1, max: 16 };
const WORKERS = { min: 1, max: 64 };

function range(name: string, text: string, limits: { min: number; max: number }): Range {
  const [from = "", to = from, ...rest] = text.split("-");
  const [least, most] = [whole(name, from, limits), whole(name, to, limits)];
  if (rest.length === 0 && least <= most) return { least, most };
  throw new UsageError(`--${name} is a number or two, as in 3-5, not "${text}"`);
}

function bulkOptions(values: ReturnType<typeof parsed>): BulkOptions | undefined {
  const { hours, log, "first-seed": firstSeed, "keep-going": keepGoing, workers } = values;
  if (hours === undefined) {
    const isPlain = [log, firstSeed, workers].every((value) => value === undefined) && !keepGoing;
    if (isPlain) return undefined;
    throw new UsageError("--log, --first-seed, --keep-going and --workers go with --hours H");
  }
  if (values.balancing) throw new UsageError("--hours and --balancing exclude each other");
  if (values.spread) throw new UsageError("--hours and --spread exclude each other");
  if (values.soak || values.scale)
    throw new UsageError("--hours, --soak and --scale exclude each other");
  return {
    hours: whole("hours", hours, { min: 1, max: 1_000_000 }),
    firstSeed: firstSeed === undefined ? undefined : whole("first-seed", firstSeed, SEEDS),
    nodes: range("nodes", values.nodes ?? "3-5", NODES),
    log,
    keepGoing,
    workers: whole("workers", workers ?? "1", WORKERS),
  };
}

/** Throws a UsageError that says what to write instead. */
export function readOptions(args: readonly string[]): SimOptions {
  const values = parsed(args);
  if (values.soak && values.scale) throw new UsageError("--soak and --scale exclude each other");
  const command = values.help ? "help" : values.soak ? "soak" : values.scale ? "scale" : "run";
  const bulk = values.help ? undefined : bulkOptions(values);
  return {
    command,
    bulk,
    seed: whole("seed", values.seed, SEEDS),
    seeds: whole("seeds", values.seeds, { min: 1, max: 1_000_000 }),
    nodes: bulk === undefined ? whole("nodes", values.nodes ?? "5", NODES) : bulk.nodes.most,
    minutes: whole("minutes", values.minutes, { min: 1, max: 10_000 }),
    balancing: values.balancing,
    spread: values.spread,
    digests: values.digests,
    json: values.json,
  };
}
