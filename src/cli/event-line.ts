// One event as one line: time, type, cause, and what it carries. Made from the event's own fields, so that a new type needs nothing here.
import type { Move, StoredEvent } from "#api/event-catalogue.ts";

const DIM = "\u001b[2m";
const BOLD = "\u001b[1m";
const PLAIN = "\u001b[0m";
const TYPE_WIDTH = 20;
/** Moves that are shown; --json has all that were kept. */
const MOVES_SHOWN = 4;

export function eventLine(event: StoredEvent, colour: boolean): string {
  const paint = (style: string, text: string): string =>
    colour ? `${style}${text}${PLAIN}` : text;
  const { seq: _seq, at, type, ...rest } = event;
  const { cause, ...fields } = rest as Readonly<Record<string, unknown>>;
  const words = [
    ...Object.entries(fields).flatMap(([name, value]) => word(name, value)),
    ...(typeof cause === "string" ? [`(${cause})`] : []),
  ];
  const time = at.replace("T", " ").replace("Z", "");
  const head = `${paint(DIM, time)}  ${paint(BOLD, type.padEnd(TYPE_WIDTH))}`;
  return `${head} ${words.join(" ")}`.trimEnd();
}

function word(name: string, value: unknown): string[] {
  if (name === "moves") return movesInWords(value as readonly Move[]);
  if (Array.isArray(value) && value.length === 0) return [];
  const text = Array.isArray(value) ? value.join("; ") : String(value);
  return [`${name}=${printable(text)}`];
}

function movesInWords(moves: readonly Move[]): string[] {
  const shown = moves
    .slice(0, MOVES_SHOWN)
    .map(
      ({ group, from, to, slots, cause }) =>
        `${group}:${slots} ${from ?? "nobody"}→${to ?? "nobody"} ${cause}`,
    );
  if (moves.length > MOVES_SHOWN) shown.push(`and ${moves.length - MOVES_SHOWN} more`);
  return shown.length === 0 ? [] : [`[${shown.join(", ")}]`];
}

/** Words of applications and of other machines must not steer a terminal. */
const printable = (text: string): string => text.replaceAll(/\p{Cc}/gu, "·");
