// The relay (A16): sessions of the cluster, each with a connection of its own to the backend.
import { type ServerPlace, startServer } from "../listening.ts";
import type { SessionServer } from "../server.ts";
import type { Session } from "../session.ts";
import { Notices } from "../notices.ts";
import { type Backend, Conversation, type RelayRules } from "./conversation.ts";
import type { ExchangeRules, Trouble } from "./exchange.ts";

export interface RelayOptions extends ServerPlace, ExchangeRules {
  readonly backend: Backend;
  /** At once; whoever comes then is reset. */
  readonly maxClients: number;
}

/** What the operator is to do is said where there is something. */
const MEANING: Readonly<Record<Trouble, string>> = {
  "backend-unreachable": "the backend could not be reached in time",
  "request-lost": "the backend's connection was lost with a request in flight (--on-loss close)",
  "replayed-too-often":
    "a request, or the wait for a greeting, was lost with four backends' connections in a row",
  "request-too-long":
    "a request is longer than --max-message, or is not of the framing that --framing names",
  "answer-too-long":
    "an answer is longer than --max-message, or is not of the framing that --framing names",
  idle: "neither side has said anything for the time of --idle-timeout",
};

const addressOf = (backend: Backend): string =>
  "path" in backend ? backend.path : `${backend.host} port ${backend.port}`;

export function relay(options: RelayOptions): Promise<SessionServer> {
  const notices = new Notices((line) => process.stderr.write(line));
  const backend = addressOf(options.backend);
  const rules: RelayRules = {
    ...options,
    onTrouble: (trouble, client, cause) => {
      const last = cause === undefined ? "" : `; last: ${cause.message}`;
      const line = `the connection of ${client} ends: ${MEANING[trouble]} (backend ${backend}${last})`;
      notices.say(trouble, line);
    },
  };
  let clients = 0;
  const onSession = (session: Session): void => {
    // one that another member served is not turned away
    if (clients >= options.maxClients && !session.resumed) {
      const { peer } = session.key;
      notices.say("full", `${peer} was turned away: ${clients} clients are served (--max-clients)`);
      return session.destroy();
    }
    clients += 1;
    session.on("close", () => (clients -= 1));
    void new Conversation(session, rules);
  };
  const onTrouble = (error: Error): void => notices.say(error.message, error.message);
  return startServer({ ...options, name: "relay", onTrouble }, onSession);
}
