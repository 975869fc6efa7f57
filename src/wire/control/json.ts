// JSON inside control frames: bounded in depth, refused as a value and never as an exception. Shared by the payloads
// that change often and are read by people in a trace; keys and tables are binary.
import { decodeUtf8, encodeUtf8 } from "../utf8.ts";

export type JsonValue =
  | string
  | number
  | boolean
  | null
  | readonly JsonValue[]
  | { readonly [key: string]: JsonValue };
export type JsonObject = { readonly [key: string]: JsonValue };

/** Deeper nesting than any message of ours has; whoever walks the value recursively is safe. */
export const MAX_JSON_DEPTH = 64;

const QUOTE = 0x22;
const BACKSLASH = 0x5c;
const OPENING = [0x5b, 0x7b];
const CLOSING = [0x5d, 0x7d];

/** Judged on the bytes, before anything is parsed. */
function depthOf(bytes: Uint8Array): number {
  let depth = 0;
  let deepest = 0;
  let quoted = false;
  for (let at = 0; at < bytes.length; at++) {
    const byte = bytes[at] ?? 0;
    if (quoted && byte === BACKSLASH) at++;
    else if (byte === QUOTE) quoted = !quoted;
    else if (!quoted && OPENING.includes(byte)) deepest = Math.max(deepest, ++depth);
    else if (!quoted && CLOSING.includes(byte)) depth--;
  }
  return deepest;
}

/** Undefined when the bytes are not UTF-8, not JSON, nested too deeply, or hold a number beyond a double. */
export function decodeJson(bytes: Uint8Array): JsonValue | undefined {
  const text = depthOf(bytes) <= MAX_JSON_DEPTH ? decodeUtf8(bytes) : undefined;
  if (text === undefined) return undefined;
  try {
    const value = JSON.parse(text) as JsonValue;
    return hasFiniteNumbers(value) ? value : undefined;
  } catch {
    return undefined; // JSON.parse has no other way to say that the text is not JSON
  }
}

/** JSON can write 1e999, which becomes Infinity here and null when it is sent on. */
function hasFiniteNumbers(value: JsonValue): boolean {
  if (typeof value === "number") return Number.isFinite(value);
  return (
    typeof value !== "object" || value === null || Object.values(value).every(hasFiniteNumbers)
  );
}

export const encodeJson = (value: JsonValue): Uint8Array => encodeUtf8(JSON.stringify(value));

export function asObject(value: JsonValue | undefined): JsonObject | undefined {
  const plain = typeof value === "object" && value !== null && !Array.isArray(value);
  return plain ? (value as JsonObject) : undefined;
}

/** A whole number of 0 … limit; undefined otherwise. */
export function asCount(value: JsonValue | undefined, limit: number): number | undefined {
  const fits = typeof value === "number" && Number.isInteger(value) && value >= 0 && value <= limit;
  return fits ? value + 0 : undefined; // + 0 turns −0, which JSON can say, into 0
}

/** A text that matches the pattern; undefined otherwise. */
export function asText(value: JsonValue | undefined, pattern: RegExp): string | undefined {
  return typeof value === "string" && pattern.test(value) ? value : undefined;
}
