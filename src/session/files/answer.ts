// What is answered to a request: a head, and a part of a file. Written down whole, it is the state of a session (A16): whoever takes the
// session over sends the same head and the same bytes, whatever its own files' times are.
import { type FileRequest, rangeOf } from "./request.ts";

export interface Answer {
  /** With the empty line. */
  readonly head: string;
  /** Undefined: the head is all. */
  readonly body: FilePart | undefined;
  readonly keepAlive: boolean;
}

export interface FilePart {
  /** Below the folder. */
  readonly path: string;
  /** Of the whole file when the answer began. */
  readonly size: number;
  readonly first: number;
  readonly length: number;
}

const REASONS: Readonly<Record<number, string>> = {
  200: "OK",
  206: "Partial Content",
  400: "Bad Request",
  404: "Not Found",
  405: "Method Not Allowed",
  414: "URI Too Long",
  416: "Range Not Satisfiable",
  431: "Request Header Fields Too Large",
  501: "Not Implemented",
  505: "HTTP Version Not Supported",
};

const TYPES: Readonly<Record<string, string>> = {
  html: "text/html; charset=utf-8",
  txt: "text/plain; charset=utf-8",
  css: "text/css; charset=utf-8",
  js: "text/javascript; charset=utf-8",
  json: "application/json",
  svg: "image/svg+xml",
  png: "image/png",
  jpg: "image/jpeg",
  pdf: "application/pdf",
};

const typeOf = (path: string): string =>
  TYPES[path.slice(path.lastIndexOf(".") + 1).toLowerCase()] ?? "application/octet-stream";

function headOf(status: number, keepAlive: boolean, fields: Readonly<Record<string, string>>) {
  const lines = Object.entries(fields).map(([name, value]) => `${name}: ${value}\r\n`);
  const connection = keepAlive ? "keep-alive" : "close";
  return `HTTP/1.1 ${status} ${REASONS[status] ?? ""}\r\n${lines.join("")}Connection: ${connection}\r\n\r\n`;
}

export const refusal = (status: number, keepAlive: boolean): Answer => ({
  head: headOf(status, keepAlive, { "Content-Length": "0" }),
  body: undefined,
  keepAlive,
});

/** @param size of the file at that path; undefined: there is none */
export function answerTo(request: FileRequest, path: string, size: number | undefined): Answer {
  const { method, keepAlive } = request;
  if (method !== "GET" && method !== "HEAD") return refusal(405, keepAlive);
  if (size === undefined) return refusal(404, keepAlive);
  const range = rangeOf(request.range, size);
  if (range === "unsatisfiable") {
    const fields = { "Content-Range": `bytes */${size}`, "Content-Length": "0" };
    return { head: headOf(416, keepAlive, fields), body: undefined, keepAlive };
  }
  const { first, last } = range === "whole" ? { first: 0, last: size - 1 } : range;
  const length = last - first + 1;
  const fields = {
    "Content-Type": typeOf(path),
    "Content-Length": String(length),
    "Accept-Ranges": "bytes",
    ...(range === "whole" ? {} : { "Content-Range": `bytes ${first}-${last}/${size}` }),
  };
  const head = headOf(range === "whole" ? 200 : 206, keepAlive, fields);
  const hasBody = method === "GET" && length > 0;
  return { head, body: hasBody ? { path, size, first, length } : undefined, keepAlive };
}
