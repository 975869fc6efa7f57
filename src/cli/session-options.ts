// What the commands that serve sessions (A16) have in common: where they listen and whom they belong to.
import { type Command, InvalidArgumentError } from "commander";
import { familyOf, parseIp } from "#base/address.ts";
import type { Endpoint, ServerPlace } from "#session/listening.ts";
import { isReplicaCount, type ReplicaCount } from "#session/replicas.ts";
import type { Context } from "./context.ts";

const LAST_WORDS_MS = 1000;

const listenAddress = (text: string, before: readonly Endpoint[] | undefined) => [
  ...(before ?? []),
  endpointOf(text),
];

export const withSessionOptions = (command: Command): Command =>
  command
    .requiredOption(
      "--listen <VIP:port>",
      "address of a service in the configuration, such as 10.0.0.100:80 or [2001:db8::100]:80; may be repeated",
      listenAddress,
    )
    .requiredOption("--interface <name>", "where the clients' packets come in")
    .option("--bundle <file>", "this node's bundle", "/etc/panoply/node.bundle")
    .option(
      "--applications-socket <path>",
      "the agent's socket for applications",
      "/run/panoply/applications.sock",
    )
    .option("--port <number>", "of the streams between members", numberOf(1, 65_535))
    .option(
      "--replicas <number|all>",
      "members that hold each connection besides the one that serves it; all others, unless it is said",
      replicasOf,
    );

/** All, or a number. */
export function replicasOf(text: string): ReplicaCount {
  if (text === "all") return text;
  const value = Number(/^\d+$/.test(text) ? text : Number.NaN);
  if (isReplicaCount(value)) return value;
  throw new InvalidArgumentError("give all, or a whole number, 1 or more");
}

/** For the value of an option. @param unit what is counted, for the message */
export const numberOf =
  (least: number, most: number, unit = "") =>
  (text: string): number => {
    const value = /^\d+(\.\d+)?$/.test(text) ? Number(text) : Number.NaN;
    if (value >= least && value <= most) return value;
    const what = unit === "" ? "a number" : unit;
    throw new InvalidArgumentError(`give ${what}, ${least} to ${most}`);
  };

export const wholeOf =
  (least: number, most: number) =>
  (text: string): number => {
    const value = numberOf(least, most, "a whole number")(text);
    if (Number.isInteger(value)) return value;
    throw new InvalidArgumentError(`give a whole number, ${least} to ${most}`);
  };

/** "host:port", "10.0.0.1:80" or "[2001:db8::1]:80"; brackets are for IPv6 addresses only. */
export function splitEndpoint(
  text: string,
): { readonly host: string; readonly port: number } | undefined {
  const [, six, other, digits] = /^(?:\[([^\]]+)\]|([^:[\]/\s]+)):(\d{1,5})$/.exec(text) ?? [];
  const port = Number(digits);
  const host = six ?? other;
  const address = six === undefined ? undefined : parseIp(six);
  const isWrong = six !== undefined && (address === undefined || familyOf(address) !== 6);
  if (host === undefined || isWrong || !(port > 0 && port < 65_536)) return undefined;
  return { host, port };
}

function endpointOf(text: string): Endpoint {
  const parts = splitEndpoint(text);
  const address = parseIp(parts?.host ?? "");
  if (parts !== undefined && address !== undefined) return { address, port: parts.port };
  throw new InvalidArgumentError(
    "give an address and a port: 10.0.0.100:80, or [2001:db8::100]:80",
  );
}

/** Says where, and serves until Ctrl-C or SIGTERM. */
export async function serveUntilStopped(
  { terminal }: Context,
  what: string,
  { listen }: ServerPlace,
  server: { readonly close: () => void },
): Promise<void> {
  const where = listen.map(({ address, port }) => `${address} port ${port}`);
  terminal.out(`${what} at ${where.join(", ")}\n`);
  await new Promise<void>((resolve) => {
    process.once("SIGINT", resolve);
    process.once("SIGTERM", resolve);
  });
  server.close();
  // whoever has not taken note by then is not waited for
  setTimeout(() => process.exit(), LAST_WORDS_MS).unref();
}
