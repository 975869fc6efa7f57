// The typed client of the contract, over the agent's Unix socket. Nothing is generated: the types come
// from the routes themselves.
import { type IncomingMessage, request } from "node:http";
import { createInterface } from "node:readline";
import { PanError } from "#base/error-codes.ts";
import type { Input, Operation, Output } from "./contract.ts";
import type { StoredEvent } from "./event-catalogue.ts";
import type { FollowQuery } from "./events.ts";
import { errorFrom } from "./problem.ts";
import { type Address, FOLLOW_EVENTS, ROUTES } from "./routes.ts";

const DEFAULT_TIMEOUT_MS = 15_000;
/** How often an agent that has nothing to tell says that it lives (event-stream.ts). */
const ALIVE_EVERY_MS = 10_000;
/** Longest answer that is read, in characters. */
const MAX_ANSWER = 64 * 1024 * 1024;

export interface ClientOptions {
  readonly socketPath: string;
  /** For the whole of one request. Default 15 s: a change waits for the master. */
  readonly timeoutMs?: number;
}

/**
 * One method per operation. Each fails with the PanError that the agent answered, or with
 * PAN_AGENT_UNREACHABLE (nobody answers, or not in time) or PAN_NOT_ROOT (the socket may not be opened).
 */
export type Client = {
  readonly [K in Operation]: (input: Input<K>) => Promise<Output<K>>;
} & {
  /** Prometheus text format. */
  metrics(): Promise<string>;
  /** Events as they happen, until the signal, or until the agent ends. */
  follow(query: FollowQuery, signal: AbortSignal): AsyncGenerator<Followed>;
};

/** `missed`: so many were dropped before they could be read. */
export type Followed = StoredEvent | { readonly missed: number };

interface Call {
  readonly method: string;
  readonly path: string;
  readonly body: unknown;
}

interface Answer {
  readonly status: number;
  readonly text: string;
}

export function createClient(options: ClientOptions): Client {
  const operations = Object.entries(ROUTES).map(([operation, route]: [string, Address]) => [
    operation,
    async (input: AnyInput): Promise<unknown> => {
      const path = `${fillPath(route.path, input)}${queryText(input.query)}`;
      const call = { method: route.method, path, body: input.body };
      return JSON.parse(await send(options, call)) as unknown;
    },
  ]);
  const metrics = (): Promise<string> =>
    send(options, { method: "GET", path: "/metrics", body: undefined });
  const follow: Client["follow"] = (query, signal) => followEvents(options, query, signal);
  return { ...Object.fromEntries(operations), metrics, follow } as Client;
}

interface AnyInput {
  readonly params?: Readonly<Record<string, string>>;
  readonly query?: Readonly<Record<string, string | undefined>>;
  readonly body?: unknown;
}

const fillPath = (path: string, { params = {} }: AnyInput): string =>
  path.replaceAll(/:(\w+)/g, (_, name: string) => encodeURIComponent(params[name] ?? ""));

function queryText(query: AnyInput["query"] = {}): string {
  const given = Object.entries(query).flatMap(([name, value]) =>
    value === undefined ? [] : [[name, value] as [string, string]],
  );
  return given.length === 0 ? "" : `?${String(new URLSearchParams(given))}`;
}

async function* followEvents(
  { socketPath, timeoutMs = DEFAULT_TIMEOUT_MS }: ClientOptions,
  query: FollowQuery,
  signal: AbortSignal,
): AsyncGenerator<Followed> {
  const path = `${FOLLOW_EVENTS}${queryText(query)}`;
  const incoming = await new Promise<IncomingMessage>((resolve, reject) => {
    const outgoing = request({ socketPath, path, signal, agent: false }, resolve);
    outgoing.on("error", reject);
    // an agent that lives says at least an empty line every ten seconds
    outgoing.setTimeout(timeoutMs + ALIVE_EVERY_MS, () => outgoing.destroy(new Error("silent")));
    outgoing.end();
  }).catch((error: unknown) => {
    if (signal.aborted) return undefined;
    throw unreachable(error, socketPath, undefined);
  });
  if (incoming === undefined) return;
  const status = incoming.statusCode ?? 0;
  if (status !== 200) throw errorFrom(status, parseOrUndefined(await readText(incoming)));
  try {
    for await (const line of createInterface({ input: incoming })) {
      if (line !== "") yield JSON.parse(line) as Followed;
    }
  } catch (error) {
    if (!signal.aborted) throw unreachable(error, socketPath, undefined);
  }
}

async function send(options: ClientOptions, call: Call): Promise<string> {
  const { status, text } = await exchange(options, call);
  if (status >= 200 && status < 300) return text;
  throw errorFrom(status, parseOrUndefined(text));
}

function parseOrUndefined(text: string): unknown {
  try {
    return JSON.parse(text);
  } catch {
    return undefined; // not our server's answer; errorFrom then goes by the status
  }
}

async function exchange(options: ClientOptions, call: Call): Promise<Answer> {
  const { socketPath, timeoutMs = DEFAULT_TIMEOUT_MS } = options;
  const payload = call.body === undefined ? undefined : JSON.stringify(call.body);
  const signal = AbortSignal.timeout(timeoutMs);
  try {
    return await new Promise<Answer>((resolve, reject) => {
      const outgoing = request(
        {
          socketPath,
          path: call.path,
          method: call.method,
          signal,
          agent: false,
          ...(payload === undefined ? {} : { headers: jsonHeaders(payload) }),
        },
        (incoming) => {
          readText(incoming).then(
            (text) => resolve({ status: incoming.statusCode ?? 0, text }),
            reject,
          );
        },
      );
      outgoing.on("error", reject);
      outgoing.end(payload);
    });
  } catch (error) {
    throw unreachable(error, socketPath, signal.aborted ? timeoutMs : undefined);
  }
}

const jsonHeaders = (payload: string): Record<string, string | number> => ({
  "content-type": "application/json",
  "content-length": Buffer.byteLength(payload),
});

async function readText(incoming: IncomingMessage): Promise<string> {
  incoming.setEncoding("utf8");
  let text = "";
  for await (const chunk of incoming) {
    text += chunk as string;
    if (text.length > MAX_ANSWER) throw new Error("the answer is too long");
  }
  return text;
}

function unreachable(cause: unknown, socketPath: string, timeoutMs: number | undefined): PanError {
  const code = (cause as NodeJS.ErrnoException).code;
  if (code === "EACCES" || code === "EPERM") {
    const message = `Only root may use the agent's socket ${socketPath}. Run the command with sudo.`;
    return new PanError("PAN_NOT_ROOT", message, { cause });
  }
  if (timeoutMs !== undefined) {
    const message = `The agent on ${socketPath} did not answer within ${timeoutMs / 1000} s. See its log: journalctl -u panoply.`;
    return new PanError("PAN_AGENT_UNREACHABLE", message, { cause });
  }
  const found = code === "ENOENT" || code === "ECONNREFUSED";
  const reason = found || !(cause instanceof Error) ? "" : ` (${cause.message})`;
  return new PanError(
    "PAN_AGENT_UNREACHABLE",
    `No agent answers on ${socketPath}${reason}. Start it with "systemctl start panoply" or ` +
      `"pan agent", or name its socket with --socket.`,
    { cause },
  );
}
