// Requests of HTTP/1.1 clients (RFC 9112) as far as a server of files needs them: the head, cut out of what came so far. Bodies are not
// expected; a request that announces one is refused.

export interface FileRequest {
  readonly method: string;
  /** Decoded path, from "/"; without query. */
  readonly path: string;
  readonly range: string | undefined;
  readonly keepAlive: boolean;
}

export type Parsed =
  | { readonly type: "incomplete" }
  /** Nothing that follows can be understood. */
  | { readonly type: "refused"; readonly status: 400 | 414 | 431 | 501 | 505 }
  | { readonly type: "request"; readonly request: FileRequest; readonly length: number };

/** Of a whole head, and of its first line. */
const MAX_HEAD = 16 * 1024;
const MAX_TARGET = 8 * 1024;
const HEAD_END = "\r\n\r\n";
const FIRST_LINE = /^([A-Z]{1,16}) (\S+) HTTP\/(\d)\.(\d)$/;

const refused = (status: 400 | 414 | 431 | 501 | 505): Parsed => ({ type: "refused", status });

/** The first request in these bytes. */
export function parseRequest(bytes: Buffer): Parsed {
  const end = bytes.indexOf(HEAD_END);
  if (end < 0) return bytes.byteLength > MAX_HEAD ? refused(431) : { type: "incomplete" };
  if (end > MAX_HEAD) return refused(431);
  const [first = "", ...lines] = bytes.toString("latin1", 0, end).split("\r\n");
  const [, method, target = "", major, minor] = FIRST_LINE.exec(first) ?? [];
  if (method === undefined) return refused(400);
  if (major !== "1") return refused(505);
  if (target.length > MAX_TARGET) return refused(414);
  const headers = headersOf(lines);
  if (headers === undefined || (minor !== "0" && !headers.has("host"))) return refused(400);
  if (headers.has("transfer-encoding") || (headers.get("content-length") ?? "0") !== "0") {
    return refused(501);
  }
  const path = pathOf(target);
  if (path === undefined) return refused(400);
  const connection = (headers.get("connection") ?? "").toLowerCase();
  const keepAlive = minor === "0" ? connection === "keep-alive" : connection !== "close";
  const request = { method, path, range: headers.get("range"), keepAlive };
  return { type: "request", request, length: end + HEAD_END.length };
}

function headersOf(lines: readonly string[]): ReadonlyMap<string, string> | undefined {
  const headers = new Map<string, string>();
  for (const line of lines) {
    const [, name, value = ""] =
      /^([!#$%&'*+.^_`|~0-9A-Za-z-]+):[ \t]*(.*?)[ \t]*$/.exec(line) ?? [];
    if (name === undefined) return undefined;
    headers.set(name.toLowerCase(), value);
  }
  return headers;
}

/** Undefined: not a path, or one that leaves the folder. */
function pathOf(target: string): string | undefined {
  const [raw = ""] = target.replace(/^http:\/\/[^/]*/i, "").split(/[?#]/);
  if (!raw.startsWith("/")) return undefined;
  try {
    const path = decodeURIComponent(raw);
    const leaves = path.split("/").some((part) => part === "..") || path.includes("\0");
    return leaves ? undefined : path;
  } catch {
    return undefined; // a wrong percent encoding
  }
}

/** Bytes first … last of a file; "whole" where the header asks for nothing that this server has (RFC 9110 section 14.2). */
export function rangeOf(
  header: string | undefined,
  size: number,
): { readonly first: number; readonly last: number } | "whole" | "unsatisfiable" {
  const [, from = "", to = ""] = /^bytes=(\d*)-(\d*)$/.exec(header ?? "") ?? [];
  if (from === "" && to === "") return "whole";
  const first = from === "" ? Math.max(0, size - Number(to)) : Number(from);
  const last = from === "" || to === "" ? size - 1 : Math.min(Number(to), size - 1);
  if (from !== "" && to !== "" && Number(to) < Number(from)) return "whole";
  return first > last ? "unsatisfiable" : { first, last };
}
