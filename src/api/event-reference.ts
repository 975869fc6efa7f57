// docs/reference/events.md, written from the catalogue.
import { EVENTS, type EventKind } from "./event-catalogue.ts";
import { MAX_FOLLOWERS } from "./event-stream.ts";
import { FOLLOW_EVENTS, ROUTES } from "./routes.ts";

const INTRODUCTION = `# Events

Written from \`src/api/event-catalogue.ts\` by \`node tools/reference.ts\`; a test holds it to the catalogue.

Every agent keeps what happened to its node, and what it knows of the others, with the cause:

    pan events                          # the newest ones
    pan events --since 10m --type member-left,tables-published
    pan events --follow --json | jq .   # until Ctrl-C

It keeps them in \`events.db\` in its state folder, over restarts and crashes: the newest 50 000, or 16 MiB of them. What is older makes room
and is counted (\`events.dropped\` in \`pan status --json\`, \`panoply_events_dropped_total\`); what could not be kept at all, because the
disk refused, is counted as \`lost\`. A file that is damaged is put aside as \`events.db.damaged\` and a new one begun. Without a
disk the agent works on and keeps events in memory.

Each node tells its own part of the story. The master alone knows why a member left; on the others the cause is \`unknown\`. For the cause of
moved slots every node draws its own conclusion from members, configuration and tables.

Over the API: \`${ROUTES.events.method} ${ROUTES.events.path}\` and \`GET ${FOLLOW_EVENTS}\` ([api.md](api.md)); at most ${MAX_FOLLOWERS} clients
follow at a time. A follower is a place in the store, not a queue, so a slow one costs the agent nothing; when events are dropped before it
came to them it is told how many.

Every event has \`seq\` (rises by one), \`at\` (time of day, ISO 8601), \`type\`, and \`cause\` where causes are listed. Nodes are named.
`;

const HEADINGS: Readonly<Record<EventKind["about"], string>> = {
  agent: "The agent",
  membership: "Members and master",
  tables: "Distribution tables",
  addresses: "Virtual addresses",
  configuration: "Configuration",
  health: "Health",
};

const TYPES = {
  text: "text",
  count: "number",
  list: "list of text",
  moves: "list of {group, from?, to?, slots, cause}",
} as const;

/** The page, ending in a line break. */
export function eventsReference(): string {
  const kinds: readonly [string, EventKind][] = Object.entries(EVENTS);
  const sections = Object.entries(HEADINGS).map(([about, heading]) => {
    const own = kinds.filter(([, kind]) => kind.about === about);
    return [`## ${heading}\n`, ...own.map(([type, kind]) => section(type, kind))].join("\n");
  });
  return [INTRODUCTION, ...sections].join("\n");
}

function section(type: string, { doc, causes, fields }: EventKind): string {
  const fieldRows = Object.entries(fields).map(
    ([name, field]) =>
      `| \`${name}${field.optional ? "?" : ""}\` | ${TYPES[field.kind]} | ${field.doc} |`,
  );
  const causeRows = Object.entries(causes).map(
    ([cause, meaning]) => `| \`${cause}\` | ${meaning} |`,
  );
  return [
    `### ${type}\n\n${doc}\n`,
    ...(fieldRows.length === 0
      ? []
      : [`| field | type | meaning |\n|---|---|---|\n${fieldRows.join("\n")}\n`]),
    ...(causeRows.length === 0
      ? []
      : [`| cause | meaning |\n|---|---|\n${causeRows.join("\n")}\n`]),
  ].join("\n");
}
