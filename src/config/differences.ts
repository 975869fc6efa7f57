// What an operator changed, in words: every place at which two configurations differ, as "place: before → after". Lists of things with a
// name are compared by name, other lists as sets, so that an insertion is one line and an order is none.
import { toRaw } from "./config.ts";
import type { ClusterConfig } from "./schema.ts";

/** Longest value that is shown; longer ones are cut. */
const LONGEST_VALUE = 60;

type Json =
  | string
  | number
  | boolean
  | undefined
  | readonly Json[]
  | { readonly [k: string]: Json };

/** At most `limit` lines; the last one then says how many are left out. */
export function differencesOf(
  before: ClusterConfig,
  after: ClusterConfig,
  limit: number,
): string[] {
  const found = compare("", toRaw(before), toRaw(after));
  if (found.length <= limit) return found;
  return [...found.slice(0, limit - 1), `and ${found.length - limit + 1} more`];
}

function compare(place: string, before: Json, after: Json): string[] {
  if (JSON.stringify(before) === JSON.stringify(after)) return [];
  if (isNamed(before) && isNamed(after)) return compareFields(place, byName(before), byName(after));
  if (isSet(before) && isSet(after)) return compareSets(place, before, after);
  if (isObject(before) && isObject(after)) return compareFields(place, before, after);
  return [`${place}: ${shown(before)} → ${shown(after)}`];
}

interface Fields {
  readonly [field: string]: Json;
}

const isObject = (value: Json): value is Fields =>
  typeof value === "object" && !Array.isArray(value);

const nameOf = (value: Json): string | undefined => {
  if (!isObject(value)) return undefined;
  const { name } = value;
  return typeof name === "string" ? name : undefined;
};

const isNamed = (value: Json): value is readonly Json[] =>
  Array.isArray(value) && value.every((item: Json) => nameOf(item) !== undefined);

const isSet = (value: Json): value is readonly Json[] =>
  Array.isArray(value) && value.every((item: Json) => typeof item === "string");

const byName = (list: readonly Json[]): Fields =>
  Object.fromEntries(list.map((item) => [nameOf(item) ?? "", item]));

function compareFields(place: string, before: Fields, after: Fields): string[] {
  const names = new Set([...Object.keys(before), ...Object.keys(after)]);
  return [...names].flatMap((name) =>
    compare(place === "" ? name : `${place}.${name}`, before[name], after[name]),
  );
}

function compareSets(place: string, before: readonly Json[], after: readonly Json[]): string[] {
  const [was, is] = [new Set(before), new Set(after)];
  return [
    ...before.filter((item) => !is.has(item)).map((item) => `${place}: removed ${shown(item)}`),
    ...after.filter((item) => !was.has(item)).map((item) => `${place}: added ${shown(item)}`),
  ];
}

function shown(value: Json): string {
  if (value === undefined) return "nothing";
  const text = typeof value === "string" ? value : JSON.stringify(value);
  return text.length <= LONGEST_VALUE ? text : `${text.slice(0, LONGEST_VALUE - 1)}…`;
}
