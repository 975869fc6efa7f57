// Checks a value against the schema, fills in defaults, and reports everything that does not fit.
// TypeBox's own checker stops after a few errors and speaks of JSON pointers; operators need all of
// them, with the remedy, so the few keywords that our schema uses are checked here.
import { parseIp } from "#base/address.ts";
import type { Path, Report } from "./findings.ts";
import { formatService, parseService } from "./service.ts";
import { formatStatusCodes, parseStatusCodes } from "./status-codes.ts";
import { suggestion } from "./spelling.ts";

/** The keywords that src/config/schema.ts uses, and our own hint and powerOfTwo. */
export interface Shape {
  readonly type?: string;
  readonly const?: string;
  readonly enum?: readonly unknown[];
  readonly anyOf?: readonly Shape[];
  readonly properties?: Readonly<Record<string, Shape>>;
  readonly required?: readonly string[];
  readonly items?: Shape;
  readonly minItems?: number;
  readonly maxItems?: number;
  readonly minimum?: number;
  readonly maximum?: number;
  readonly powerOfTwo?: boolean;
  readonly pattern?: string;
  readonly hint?: string;
  readonly format?: string;
  readonly default?: unknown;
  readonly description?: string;
}

export const powerOfTwo = (value: number): boolean => Number.isInteger(Math.log2(value));

/** How a refused value is quoted: short, and never more than one line. */
function show(value: unknown): string {
  if (Array.isArray(value)) return "a list";
  if (typeof value === "object" && value !== null) return "a mapping";
  const text = JSON.stringify(value) ?? "nothing";
  return text.length > 80 ? `${text.slice(0, 77)}…"` : text;
}

/** The value with defaults, without what was refused; undefined where nothing is left. */
export function checkShape(shape: Shape, value: unknown, path: Path, report: Report): unknown {
  if (shape.anyOf !== undefined) return checkChoice(shape.anyOf, value, path, report);
  if (shape.enum !== undefined) return checkEnum(shape.enum, value, path, report);
  switch (shape.type) {
    case "object":
      return checkObject(shape, value, path, report);
    case "array":
      return checkArray(shape, value, path, report);
    case "integer":
      return checkInteger(shape, value, path, report);
    case "string":
      return checkString(shape, value, path, report);
    case "boolean":
    case undefined:
    default:
      if (typeof value === "boolean") return value;
      report({ path, message: `${show(value)} is neither true nor false` });
      return undefined;
  }
}

/** What a whole document needs: an empty file, or one of another kind, shows nothing to go by. */
const expected = ({ required = [] }: Shape, path: Path): string =>
  path.length > 0 ? "" : `; it needs the keys ${required.join(" and ")}, see \`pan config docs\``;

function checkObject(shape: Shape, value: unknown, path: Path, report: Report): unknown {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    report({
      path,
      message: `${show(value)} stands where a mapping is expected${expected(shape, path)}`,
    });
    return undefined;
  }
  const properties = shape.properties ?? {};
  const given = value as Readonly<Record<string, unknown>>;
  const result: Record<string, unknown> = {};
  for (const key of Object.keys(given).filter((key) => !Object.hasOwn(properties, key))) {
    const known = Object.keys(properties);
    const meant = suggestion(key, known) || ` Known here: ${known.join(", ")}.`;
    report({ path: [...path, key], atKey: true, message: `unknown key "${key}".${meant}` });
  }
  for (const [key, member] of Object.entries(properties)) {
    const present = Object.hasOwn(given, key) ? given[key] : undefined;
    // a key whose items are all commented out reads as null and means its default
    const used =
      present === undefined || present === null ? structuredClone(member.default) : present;
    if (used !== undefined) result[key] = checkShape(member, used, [...path, key], report);
    else if (shape.required?.includes(key)) {
      report({ path, message: `"${key}" is missing. ${member.description ?? ""}`.trim() });
    }
  }
  return result;
}

function checkArray(shape: Shape, value: unknown, path: Path, report: Report): unknown {
  if (!Array.isArray(value)) {
    report({ path, message: `${show(value)} stands where a list is expected` });
    return undefined;
  }
  const items = shape.items ?? {};
  if (value.length > (shape.maxItems ?? Infinity)) {
    report({ path, message: `${value.length} entries; at most ${shape.maxItems} are allowed` });
  }
  if (value.length < (shape.minItems ?? 0)) report({ path, message: "the list is empty" });
  // no more findings than a full list could give: the excess is reported once, above
  return value
    .slice(0, shape.maxItems)
    .map((item, index) => checkShape(items, item, [...path, index], report));
}

/** Our only choices are a word or a list, so the list is checked in detail when a list was given. */
function checkChoice(
  choices: readonly Shape[],
  value: unknown,
  path: Path,
  report: Report,
): unknown {
  if (choices.some((choice) => choice.const !== undefined && choice.const === value)) return value;
  const list = choices.find((choice) => choice.type === "array");
  if (list !== undefined && Array.isArray(value)) return checkArray(list, value, path, report);
  const words = choices.flatMap((choice) => (choice.const === undefined ? [] : [choice.const]));
  report({ path, message: `${show(value)} is neither ${words.join(" nor ")} nor a list` });
  return undefined;
}

function checkEnum(words: readonly unknown[], value: unknown, path: Path, report: Report): unknown {
  if (words.includes(value)) return value;
  const meant = typeof value === "string" ? suggestion(value, words.map(String)) : "";
  report({ path, message: `${show(value)} is not one of ${words.join(", ")}.${meant}` });
  return undefined;
}

function checkInteger(shape: Shape, value: unknown, path: Path, report: Report): unknown {
  const { minimum = 0, maximum = Number.MAX_SAFE_INTEGER } = shape;
  if (typeof value !== "number" || !Number.isInteger(value) || value < minimum || value > maximum) {
    report({ path, message: `${show(value)} is not an integer ${minimum} to ${maximum}` });
    return undefined;
  }
  if (shape.powerOfTwo === true && !powerOfTwo(value)) {
    const below = 2 ** Math.floor(Math.log2(value));
    report({ path, message: `${value} is not a power of two; use ${below} or ${below * 2}` });
    return undefined;
  }
  return value;
}

function checkString(shape: Shape, value: unknown, path: Path, report: Report): unknown {
  if (typeof value !== "string") {
    const quotes = typeof value === "number" ? "; put it in quotes" : "";
    report({ path, message: `${show(value)} stands where text is expected${quotes}` });
    return undefined;
  }
  if (shape.pattern !== undefined && !new RegExp(shape.pattern, "u").test(value)) {
    report({ path, message: `${show(value)} is not valid; use ${shape.hint ?? shape.pattern}` });
    return undefined;
  }
  if (shape.format === undefined) return value;
  const read = FORMATS[shape.format]?.(value);
  if (read === undefined || "reason" in read) {
    report({ path, message: `${show(value)}: ${read?.reason ?? "unknown format"}` });
    return undefined;
  }
  return read.canonical;
}

type Read = { readonly canonical: string } | { readonly reason: string };

const FORMATS: Readonly<Record<string, (text: string) => Read>> = {
  ip: (text) => {
    const address = parseIp(text.trim());
    if (address === undefined) {
      return { reason: "not an IPv4 or IPv6 address; write it without prefix length and port" };
    }
    return { canonical: address };
  },
  "check-target": (text) => {
    if (["vip", "local", "node"].includes(text)) return { canonical: text };
    const address = parseIp(text.trim());
    if (address !== undefined) return { canonical: address };
    return { reason: "not vip, local, node or an IP address" };
  },
  "status-codes": (text) => {
    const ranges = parseStatusCodes(text);
    if (ranges !== undefined) return { canonical: formatStatusCodes(ranges) };
    return { reason: 'not a list of HTTP statuses; write it like "200" or "200,300-399"' };
  },
  service: (text) => {
    const parsed = parseService(text);
    return parsed.ok ? { canonical: formatService(parsed.service) } : { reason: parsed.reason };
  },
};
