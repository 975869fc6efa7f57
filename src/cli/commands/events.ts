// `pan events`: what happened on this node and what it knows of the others, with causes; once, or as it happens.
import { type Command, InvalidArgumentError } from "commander";
import { EVENT_TYPES, isEventType, type StoredEvent } from "#api/event-catalogue.ts";
import type { Client, Followed } from "#api/client.ts";
import type { Output } from "#api/contract.ts";
import { type Context, examples, printJson, type Register } from "../context.ts";
import { eventLine } from "../event-line.ts";

const DEFAULT_LAST = 50;
const UNITS_MS: Readonly<Record<string, number>> = {
  s: 1000,
  m: 60_000,
  h: 3_600_000,
  d: 86_400_000,
};

interface Options {
  readonly since?: Date;
  readonly last?: number;
  readonly type?: string;
  readonly follow?: true;
  readonly json?: true;
}

export const registerEvents: Register = (program, context) => {
  program
    .command("events")
    .description("show what happened: members, master, tables, addresses, configuration, health")
    .option(
      "--since <time>",
      "from then on: a time as 2026-11-26T01:00:00Z, or how long ago: 90s, 10m, 2h, 3d",
      parseSince,
    )
    .option(
      "-n, --last <count>",
      `at most so many, the newest (default: ${DEFAULT_LAST}; with --since: all)`,
      parseLast,
    )
    .option("-t, --type <types>", "only these types, separated by commas", parseTypes)
    .option("-f, --follow", "go on with what happens from now on, until Ctrl-C")
    .option("--json", "print one JSON object a line")
    .addHelpText(
      "after",
      examples(
        "pan events",
        "pan events --since 10m --type member-left,tables-published",
        "pan events --follow --json",
      ),
    )
    .action(async (options: Options, command: Command) => {
      const client = await context.connect(command);
      const last = await show(context, client, options);
      if (options.follow === true) await follow(context, client, { ...options, after: last });
    });
};

function parseSince(text: string): Date {
  const [, count, unit = ""] = /^(\d{1,6})([smhd])$/.exec(text) ?? [];
  if (count !== undefined) return new Date(Date.now() - Number(count) * (UNITS_MS[unit] ?? 0));
  const time = /^\d{4}-\d{2}-\d{2}/.test(text) ? new Date(text) : new Date(Number.NaN);
  if (!Number.isNaN(time.getTime())) return time;
  throw new InvalidArgumentError("give a time as 2026-11-26T01:00:00Z, or 90s, 10m, 2h, 3d");
}

function parseLast(text: string): number {
  const count = Number(text);
  if (Number.isInteger(count) && count >= 0 && count <= 1_000_000) return count;
  throw new InvalidArgumentError("give a number, 0 to 1000000");
}

function parseTypes(text: string): string {
  const unknown = text.split(",").filter((word) => !isEventType(word));
  if (unknown.length === 0) return text;
  throw new InvalidArgumentError(
    `there is no type ${unknown.join(", ")}; there are ${EVENT_TYPES.join(", ")}`,
  );
}

/** The number of the last event that is shown, or was there to be shown. */
async function show({ terminal }: Context, client: Client, options: Options): Promise<number> {
  const { since, type } = options;
  const query = {
    ...(since === undefined ? {} : { since: since.toISOString() }),
    ...(type === undefined ? {} : { types: type }),
  };
  const wanted = options.last ?? (since === undefined ? DEFAULT_LAST : Number.POSITIVE_INFINITY);
  const found = await gather(client, query, wanted);
  for (const event of found.events) print({ terminal }, event, options);
  return found.last;
}

type Query = Parameters<Client["events"]>[0]["query"];

/** A page at a time: the newest ones directly, everything since a time from its beginning. */
async function gather(client: Client, query: Query, wanted: number): Promise<Found> {
  if (wanted <= LARGEST_PAGE) {
    const limit = String(Math.max(wanted, 1));
    const page = await client.events({ query: { ...query, newest: "true", limit } });
    return { events: wanted === 0 ? [] : page.events, last: page.last };
  }
  const events: Page["events"] = [];
  for (let after = 0; ; after = events.at(-1)?.seq ?? after) {
    const page = await client.events({ query: { ...query, after: String(after) } });
    events.push(...page.events);
    if (!page.more) return { events: events.slice(-wanted), last: page.last };
  }
}

const LARGEST_PAGE = 1000;
type Page = Output<"events">;
type Found = Pick<Page, "events" | "last">;

interface Following extends Options {
  readonly after: number;
}

async function follow(context: Context, client: Client, options: Following): Promise<void> {
  const { after, type } = options;
  const query = { after: String(after), ...(type === undefined ? {} : { types: type }) };
  const signal = context.terminal.interrupted();
  for await (const followed of client.follow(query, signal)) print(context, followed, options);
}

function print(
  { terminal }: Pick<Context, "terminal">,
  event: Followed | Page["events"][number],
  { json }: Options,
): void {
  if (json === true) return printJson(terminal, event);
  if ("missed" in event) {
    return terminal.out(`${String(event.missed)} events were dropped before they could be shown\n`);
  }
  terminal.out(`${eventLine(event as StoredEvent, terminal.colour)}\n`);
}
