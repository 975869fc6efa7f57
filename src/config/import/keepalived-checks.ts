// Checks of keepalived's real servers as checks of ours (B7). There the load balancer asks every server from outside; here every node asks
// itself, so addresses of single servers have no place in a check, and all nodes of a group have the same ones.
import type { Statement } from "./keepalived-lines.ts";
import type { ServerReader } from "./keepalived-server.ts";
import type { Check, Health as HealthValues, Place } from "./model.ts";
import type { Finding } from "../findings.ts";
import { Health } from "../health-schema.ts";
import { checkShape } from "../shape.ts";
import { lookUp, readPort } from "./words.ts";

/** What is said once for a virtual server, or in a check; in seconds, as keepalived has it. */
export interface Timing {
  delayLoop?: number;
  timeout?: number;
  retries?: number;
}

/** The checks of one real server, with what they say of times. */
export interface RealChecks extends Place {
  readonly address: string;
  readonly checks: readonly Check[];
  readonly timing: Timing;
}

const DEFAULTS = { delayLoop: 60, timeout: 5, retries: 1 } as const;
const LONGEST_INTERVAL_MS = 3_600_000;
const LONGEST_TIMEOUT_MS = 600_000;
const LONGEST_STREAK = 100;

const NO_COUNTERPART: Readonly<Record<string, string>> = {
  DNS_CHECK: "no check asks a name server; let a `script` do it",
  PING_CHECK: "whether a machine lives is noticed by keepalives; nothing is to be set",
  FILE_CHECK: "no check reads a file; let a `script` do it",
  BFD_CHECK: "whether a machine lives is noticed by keepalives; nothing is to be set",
};

export const isCheck = (word: string): boolean => /^[A-Z]+_(CHECK|GET)$/.test(word);

/** Undefined: the statement has no counterpart, and that was noted. */
export function readCheck(
  statement: Statement,
  timing: Timing,
  reader: ServerReader,
): Check[] | undefined {
  const [word = ""] = statement.words;
  const why = lookUp(NO_COUNTERPART, word);
  if (why !== undefined) {
    reader.drop(statement, why);
    return undefined;
  }
  reader.take(statement);
  const draft = new CheckDraft(statement, timing, reader);
  switch (word) {
    case "TCP_CHECK":
      return [draft.common({ type: "tcp" })];
    case "SMTP_CHECK":
      reader.note(
        "differs",
        statement,
        "SMTP_CHECK: it is asked for a connection only, not for its greeting",
      );
      return [draft.common({ type: "tcp" })];
    case "UDP_CHECK":
      return [draft.common({ type: "udp" })];
    case "HTTP_GET":
      return draft.urls("http");
    case "SSL_GET":
      return draft.urls("https");
    case "MISC_CHECK":
      return draft.script();
    default:
      reader.drop(statement, "there is no such check; let a `script` do it");
      return undefined;
  }
}

class CheckDraft {
  readonly #statement: Statement;
  readonly #timing: Timing;
  readonly #reader: ServerReader;
  #port: number | undefined;
  #host: string | undefined;

  constructor(statement: Statement, timing: Timing, reader: ServerReader) {
    this.#statement = statement;
    this.#timing = timing;
    this.#reader = reader;
  }

  get #block(): readonly Statement[] {
    return this.#statement.block ?? [];
  }

  /** What every check that asks over the network may say. */
  common(check: Check, known: readonly string[] = []): Check {
    for (const each of this.#block) {
      const [word = "", value = ""] = each.words;
      if (known.includes(word)) continue;
      if (word === "connect_port") this.#connectPort(each, value);
      else if (word === "virtualhost" && value !== "") {
        this.#host = value;
        this.#reader.take(each);
      } else if (!timingWord(each, this.#timing, this.#reader)) {
        this.#reader.drop(each, "every node asks itself, and a check has no such setting");
      }
    }
    return this.#port === undefined ? check : { ...check, port: this.#port };
  }

  #connectPort(statement: Statement, value: string): void {
    const port = readPort(value);
    if (port === undefined || port === 0) {
      return this.#reader.wrong(statement, "give a port, 1 to 65535");
    }
    this.#port = port;
    this.#reader.take(statement);
  }

  urls(type: "http" | "https"): Check[] {
    const verify = type === "https" ? { verify: false } : {};
    const common = this.common({ type, ...verify }, ["url"]);
    const urls = this.#block.filter((each) => each.words[0] === "url");
    const found = urls.map((url) => this.#url(url, common));
    return found.length === 0 ? [{ ...common, status: "200-299" }] : found;
  }

  #url(url: Statement, common: Check): Check {
    this.#reader.take(url);
    let check: Check = { ...common, status: "200-299" };
    if (this.#host !== undefined) check = { ...check, host: this.#host };
    for (const each of url.block ?? []) {
      const [word = "", value = ""] = each.words;
      if (word === "path" && /^\/[\x21-\x7e]{0,1023}$/.test(value))
        check = { ...check, path: value };
      else if (word === "virtualhost" && value !== "") check = { ...check, host: value };
      else if (word === "status_code" && /^\d{3}(-\d{3})?(,\d{3}(-\d{3})?)*$/.test(value)) {
        check = { ...check, status: each.words.slice(1).join(",") };
      } else if (word === "path" || word === "status_code") {
        this.#reader.wrong(each, "give a path like /health, and codes like 200 or 200-299");
        continue;
      } else {
        this.#reader.drop(each, "an answer is judged by its status, or by text in it (`body`)");
        continue;
      }
      this.#reader.take(each);
    }
    return check;
  }

  script(): Check[] {
    const check = this.common({ type: "script" }, ["misc_path", "misc_timeout"]);
    let command: string[] = [];
    for (const each of this.#block) {
      const [word, ...values] = each.words;
      if (word === "misc_path") {
        command = values.join(" ").split(/\s+/);
        this.#reader.take(each);
      } else if (word === "misc_timeout")
        seconds(each, this.#reader, (value) => (this.#timing.timeout = value));
    }
    if (command[0]?.startsWith("/") !== true) {
      this.#reader.note(
        "dropped",
        this.#statement,
        "MISC_CHECK: a script needs its full path (misc_path)",
      );
      return [];
    }
    this.#reader.note(
      "differs",
      this.#statement,
      "MISC_CHECK: it runs on the node itself, as root, with these arguments on every node",
    );
    return [{ type: check.type, command }];
  }
}

function seconds(statement: Statement, reader: ServerReader, set: (value: number) => void): void {
  const [, text = ""] = statement.words;
  const value = /^\d{1,9}(\.\d{1,6})?$/.test(text) ? Number(text) : Number.NaN;
  if (Number.isNaN(value)) return reader.wrong(statement, "give a number of seconds");
  set(value);
  reader.take(statement);
}

/** Words that a check and a virtual server share; false: it is none of them. */
export function timingWord(statement: Statement, timing: Timing, reader: ServerReader): boolean {
  const [word = "", text = ""] = statement.words;
  switch (word) {
    case "delay_loop":
      seconds(statement, reader, (value) => (timing.delayLoop = value));
      return true;
    case "connect_timeout":
      seconds(statement, reader, (value) => (timing.timeout = value));
      return true;
    case "retry":
    case "nb_get_retry":
      if (!/^\d{1,5}$/.test(text)) reader.wrong(statement, "give a number");
      else {
        timing.retries = Number(text);
        reader.take(statement);
      }
      return true;
    default:
      return false;
  }
}

const within = (value: number, low: number, high: number): number =>
  Math.min(Math.max(Math.round(value), low), high);

/** As the schema of our configuration has it: texts of a length, paths and codes of a form. */
function isPossible(check: Check, real: RealChecks, reader: ServerReader): boolean {
  const findings: Finding[] = [];
  checkShape(Health, { checks: [check] }, [], (finding) => findings.push(finding));
  const [first] = findings;
  if (first === undefined) return true;
  reader.note("dropped", real, `its ${check.type} check: ${first.message}`);
  return false;
}

/** One health for all: that of the first real server that has any. */
export function healthOf(
  given: readonly RealChecks[],
  timing: Timing,
  reader: ServerReader,
): HealthValues | undefined {
  const reals = given.map((real) => ({
    ...real,
    checks: real.checks.filter((check) => isPossible(check, real, reader)),
  }));
  const first = reals.find(({ checks }) => checks.length > 0);
  if (first === undefined) return undefined;
  for (const real of reals) {
    if (JSON.stringify(real.checks) === JSON.stringify(first.checks)) continue;
    reader.note(
      "differs",
      real,
      `checks of ${real.address}: every node of a group has the same ones, here those of ${first.address}`,
    );
  }
  const { delayLoop, timeout, retries } = { ...DEFAULTS, ...timing, ...first.timing };
  return {
    checks: first.checks,
    intervalMs: within(delayLoop * 1000, 100, LONGEST_INTERVAL_MS),
    timeoutMs: within(timeout * 1000, 10, LONGEST_TIMEOUT_MS),
    rise: 1,
    fall: within(retries + 1, 1, LONGEST_STREAK),
  };
}
