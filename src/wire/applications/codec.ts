// Lines of the applications' protocol (A10): bytes ↔ values. What comes from an application is checked field by field, and what
// is wrong is said in words, for whoever writes the application. Fields that are not known are ignored: a later client may have more.
import { asCount, asObject, asText, decodeJson, type JsonObject } from "../control/json.ts";
import { clipToLine, encodeUtf8 } from "../utf8.ts";
import {
  type Answer,
  type FromApplication,
  type Hello,
  MAX_REASON_BYTES,
  SESSION_COUNTS,
  SESSION_SPREAD,
  SESSION_TIMES,
  type SessionFigures,
  type ToApplication,
} from "./message.ts";

const NEWLINE = 0x0a;
const CARRIAGE_RETURN = 0x0d;
const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,62}$/;
const MAX_NUMBER = 2 ** 32 - 1;

export type Line =
  | { readonly ok: true; readonly bytes: Uint8Array }
  | { readonly ok: false; readonly reason: "too-long" };

/** Cuts a stream into lines. Holds no more than the longest line; after a line that is too long it reads no further. */
export class LineDecoder {
  readonly #limit: number;
  #pieces: Uint8Array[] = [];
  #length = 0;
  #failed = false;

  constructor(limitBytes: number) {
    this.#limit = limitBytes;
  }

  push(chunk: Uint8Array): Line[] {
    const lines: Line[] = [];
    let start = 0;
    while (!this.#failed) {
      const end = chunk.indexOf(NEWLINE, start);
      const piece = chunk.subarray(start, end === -1 ? chunk.length : end);
      this.#length += piece.length;
      if (this.#length > this.#limit) {
        this.#failed = true;
        this.#pieces = [];
        lines.push({ ok: false, reason: "too-long" });
        break;
      }
      // a copy: the chunk belongs to whoever read it
      if (piece.length > 0) this.#pieces.push(piece.slice());
      if (end === -1) break;
      lines.push({ ok: true, bytes: this.#takeLine() });
      start = end + 1;
    }
    return lines;
  }

  #takeLine(): Uint8Array {
    const line = new Uint8Array(this.#length);
    let at = 0;
    for (const piece of this.#pieces) {
      line.set(piece, at);
      at += piece.length;
    }
    this.#pieces = [];
    this.#length = 0;
    return line.at(-1) === CARRIAGE_RETURN ? line.subarray(0, -1) : line;
  }
}

export const encodeLine = (message: ToApplication | FromApplication): Uint8Array =>
  encodeUtf8(`${JSON.stringify(message)}\n`);

export type Understood =
  | { readonly ok: true; readonly message: FromApplication }
  | { readonly ok: false; readonly problem: string };

const wrong = (problem: string): Understood => ({ ok: false, problem });

/** A line of an application. */
export function fromApplication(line: Uint8Array): Understood {
  const fields = asObject(decodeJson(line));
  if (fields === undefined) return wrong("a line is one JSON object in UTF-8");
  const { type } = fields;
  if (type === "hello") return helloOf(fields);
  if (type === "session-report") return reportOf(fields);
  return type === "answer"
    ? answerOf(fields)
    : wrong('"type" is "hello", "answer" or "session-report"');
}

function helloOf(fields: JsonObject): Understood {
  const protocol = asCount(fields["protocol"], MAX_NUMBER);
  const name = asText(fields["name"], NAME);
  const votes = fields["votes"];
  if (protocol === undefined) return wrong('"protocol" of hello is a number');
  if (name === undefined) {
    return wrong('"name" of hello is 1 to 63 letters, digits, ".", "_" and "-"');
  }
  if (typeof votes !== "boolean") return wrong('"votes" of hello is true or false');
  const message: Hello = { type: "hello", protocol, name, votes };
  return { ok: true, message };
}

function answerOf(fields: JsonObject): Understood {
  const vote = asCount(fields["vote"], Number.MAX_SAFE_INTEGER);
  const { accept, reason = "" } = fields;
  if (vote === undefined) return wrong('"vote" of answer is the number in join-vote');
  if (typeof accept !== "boolean") return wrong('"accept" of answer is true or false');
  if (typeof reason !== "string") return wrong('"reason" of answer is a text');
  const words = clipToLine(reason, MAX_REASON_BYTES);
  const message: Answer = accept
    ? { type: "answer", vote, accept }
    : { type: "answer", vote, accept, reason: words };
  return { ok: true, message };
}

function reportOf(fields: JsonObject): Understood {
  const given = asObject(fields["figures"]);
  if (given === undefined) return wrong('"figures" of session-report is an object');
  const figures: Partial<Record<keyof SessionFigures, number>> = {};
  const optional: readonly string[] = [...SESSION_TIMES, ...SESSION_SPREAD];
  for (const name of [...SESSION_COUNTS, ...SESSION_TIMES, ...SESSION_SPREAD]) {
    const value = given[name];
    if (value === undefined && optional.includes(name)) continue;
    if (typeof value !== "number" || value < 0) {
      return wrong(`"${name}" of session-report is a number, 0 or more`);
    }
    figures[name] = value;
  }
  return { ok: true, message: { type: "session-report", figures: figures as SessionFigures } };
}
