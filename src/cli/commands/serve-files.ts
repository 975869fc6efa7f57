// `pan serve-files`: an HTTP server of files whose downloads outlive the member that serves them (A16).
import { type Command, InvalidArgumentError } from "commander";
import { familyOf, parseIp } from "#base/address.ts";
import { examples, type Register } from "../context.ts";

interface Options {
  readonly listen: readonly Endpoint[];
  readonly interface: string;
  readonly bundle: string;
  readonly applicationsSocket: string;
  readonly port?: number;
}

interface Endpoint {
  readonly address: string;
  readonly port: number;
}

export const registerServeFiles: Register = (program, context) => {
  program
    .command("serve-files")
    .description("serve a folder's files by HTTP; downloads go on when this member dies")
    .argument("<folder>", "the same files on every member")
    .requiredOption(
      "--listen <VIP:port>",
      "address of a service in the configuration, such as 10.0.0.100:80 or [2001:db8::100]:80; may be repeated",
      (text: string, before: readonly Endpoint[] | undefined) => [
        ...(before ?? []),
        endpointOf(text),
      ],
    )
    .requiredOption("--interface <name>", "where the clients' packets come in")
    .option("--bundle <file>", "this node's bundle", "/etc/panoply/node.bundle")
    .option(
      "--applications-socket <path>",
      "the agent's socket for applications",
      "/run/panoply/applications.sock",
    )
    .option("--port <number>", "of the streams between members", Number)
    .addHelpText(
      "after",
      "\nRun it on every member. Until Ctrl-C.\n" +
        examples("pan serve-files /srv/www --listen 10.0.0.100:80 --interface eth0"),
    )
    .action(async (folder: string, options: Options, _command: Command) => {
      const { serveFiles } = await import("#session/files/serve.ts");
      const server = await serveFiles({ folder, ...options });
      const where = options.listen.map(({ address, port }) => `${address} port ${port}`);
      context.terminal.out(`serving ${folder} at ${where.join(", ")}\n`);
      await new Promise<void>((resolve) => {
        process.once("SIGINT", resolve);
        process.once("SIGTERM", resolve);
      });
      server.close();
    });
};

function endpointOf(text: string): Endpoint {
  const [, six, four, port = ""] = /^(?:\[([^\]]+)\]|([^:]+)):(\d{1,5})$/.exec(text) ?? [];
  const address = parseIp(six ?? four ?? "");
  const isWhole = address !== undefined && familyOf(address) === (six === undefined ? 4 : 6);
  if (isWhole && Number(port) > 0 && Number(port) < 65_536) return { address, port: Number(port) };
  throw new InvalidArgumentError(
    "give an address and a port: 10.0.0.100:80, or [2001:db8::100]:80",
  );
}
