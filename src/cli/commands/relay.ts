// `pan relay`: a TCP relay whose clients' connections outlive the member that serves them (A16).
import { InvalidArgumentError, Option } from "commander";
import type { Backend } from "#session/relay/conversation.ts";
import { type Framing, FRAMINGS } from "#session/relay/frames.ts";
import type { ServerPlace } from "#session/listening.ts";
import { examples, type Register } from "../context.ts";
import {
  numberOf,
  serveUntilStopped,
  splitEndpoint,
  wholeOf,
  withSessionOptions,
} from "../session-options.ts";

interface Options extends ServerPlace {
  readonly backend: Backend;
  readonly framing: Framing;
  readonly onLoss: "replay" | "close";
  readonly greeting: number;
  readonly maxMessage: number;
  readonly maxInFlight: number;
  readonly maxClients: number;
  readonly connectTimeout: number;
  readonly answerTimeout: number;
  readonly idleTimeout: number;
}

/** Requests that wait for an answer are kept by every member: far below what is kept of a connection at most. */
const MAX_MESSAGE = 1024 * 1024;

const ABOUT = `
Run it on every member, with the same options; the backend must be reachable from each of them. Until Ctrl-C.

The client sends requests; the backend sends one answer to each, in their order. Requests are lines, or messages behind
their length (u8, u16, u32; big-endian, or little-endian with "le"; the length does not count itself). When this
member dies, another one goes on with the client's connection and a new one to the backend. No byte of an answer
is lost or doubled. A request that was with the backend just then is given to the backend again (--on-loss
replay; it may be done twice), or the client's connection ends behind the last answer (--on-loss close; nothing
is ever done twice).
`;

export const registerRelay: Register = (program, context) => {
  const command = program
    .command("relay")
    .description(
      "relay TCP requests to a backend; clients keep their connections when this member dies",
    );
  withSessionOptions(command)
    .requiredOption(
      "--backend <address>",
      "host:port, [IPv6 address]:port or unix:/path of the server behind",
      backendOf,
    )
    .addOption(
      new Option("--framing <kind>", "what a request or answer is")
        .choices(FRAMINGS)
        .default("line"),
    )
    .addOption(
      new Option(
        "--on-loss <what>",
        "with requests in flight when the backend's connection is lost",
      )
        .choices(["replay", "close"])
        .default("replay"),
    )
    .option("--greeting <messages>", "that the backend says first, unasked", wholeOf(0, 100), 0)
    .option("--max-message <bytes>", "longest request or answer", wholeOf(1, MAX_MESSAGE), 65_536)
    .option("--max-in-flight <requests>", "of a client, without an answer", wholeOf(1, 10_000), 128)
    .option("--max-clients <number>", "at once", wholeOf(1, 65_536), 10_000)
    .option(
      "--connect-timeout <seconds>",
      "to reach the backend",
      numberOf(0.1, 3600, "seconds"),
      5,
    )
    .option(
      "--answer-timeout <seconds>",
      "then the backend counts as lost; 0: never",
      numberOf(0, 86_400, "seconds"),
      60,
    )
    .option(
      "--idle-timeout <seconds>",
      "without a byte, then the client goes; 0: never",
      numberOf(0, 86_400, "seconds"),
      0,
    )
    .addHelpText(
      "after",
      ABOUT +
        examples(
          "pan relay --listen 10.0.0.100:7000 --backend 10.0.1.5:7000 --interface eth0",
          "pan relay --listen 10.0.0.100:9000 --backend unix:/run/app.sock --framing u32 --on-loss close --interface eth0",
        ),
    )
    .action(async (options: Options) => {
      const { relay } = await import("#session/relay/serve.ts");
      const server = await relay({
        ...options,
        maxFrame: options.maxMessage,
        maxInFlightBytes: MAX_MESSAGE,
        connectTimeoutMs: options.connectTimeout * 1000,
        answerTimeoutMs: options.answerTimeout * 1000,
        idleTimeoutMs: options.idleTimeout * 1000,
      });
      await serveUntilStopped(context, "relaying", options, server);
    });
};

function backendOf(text: string): Backend {
  const [, path] = /^unix:(\/.{1,106})$/.exec(text) ?? [];
  const backend = path === undefined ? splitEndpoint(text) : { path };
  if (backend !== undefined) return backend;
  throw new InvalidArgumentError(
    "give host:port, [IPv6 address]:port, or unix: and an absolute path",
  );
}
