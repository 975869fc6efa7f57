// The command `pan`. Only the module of the command that was asked for is loaded: a program that answers
// at once is used more often.
import { Command, Option } from "commander";
import { DEFAULT_SOCKET } from "#api/routes.ts";
import { type Context, examples, type Register, type Terminal } from "./context.ts";
import { EXIT_OK, reportFailure } from "./failure.ts";
import { withoutMisleadingHelp } from "./unknown-command.ts";

interface Globals {
  readonly socket: string;
}

/** In the order of the help. Later entries may add to the commands of earlier ones. */
const COMMANDS: readonly {
  readonly names: readonly string[];
  readonly load: () => Promise<Register>;
}[] = [
  {
    names: ["status"],
    load: async () => (await import("./commands/status.ts")).registerStatus,
  },
  {
    names: ["service"],
    load: async () => (await import("./commands/service.ts")).registerService,
  },
  {
    names: ["drain", "undrain"],
    load: async () => (await import("./commands/drain.ts")).registerDrain,
  },
  {
    names: ["maintenance"],
    load: async () => (await import("./commands/maintenance.ts")).registerMaintenance,
  },
  {
    names: ["delivery"],
    load: async () => (await import("./commands/delivery.ts")).registerDelivery,
  },
  {
    names: ["vips"],
    load: async () => (await import("./commands/vips.ts")).registerVips,
  },
  {
    names: ["config"],
    load: async () => (await import("./commands/config.ts")).registerConfig,
  },
  {
    names: ["config"],
    load: async () => (await import("./commands/config-apply.ts")).registerConfigApply,
  },
  {
    names: ["import"],
    load: async () => (await import("./commands/import.ts")).registerImport,
  },
  {
    names: ["ca"],
    load: async () => (await import("./commands/ca.ts")).registerCa,
  },
  {
    names: ["node"],
    load: async () => (await import("./commands/node.ts")).registerNode,
  },
  {
    names: ["apps"],
    load: async () => (await import("./commands/apps.ts")).registerApps,
  },
  {
    names: ["peers"],
    load: async () => (await import("./commands/peers.ts")).registerPeers,
  },
  {
    names: ["doctor"],
    load: async () => (await import("./commands/doctor.ts")).registerDoctor,
  },
  {
    names: ["events"],
    load: async () => (await import("./commands/events.ts")).registerEvents,
  },
  {
    names: ["serve-files"],
    load: async () => (await import("./commands/serve-files.ts")).registerServeFiles,
  },
  {
    names: ["relay"],
    load: async () => (await import("./commands/relay.ts")).registerRelay,
  },
  {
    names: ["metrics"],
    load: async () => (await import("./commands/metrics.ts")).registerMetrics,
  },
  {
    names: ["agent"],
    load: async () => (await import("./commands/agent.ts")).registerAgent,
  },
  {
    names: ["lab"],
    load: async () => (await import("./commands/lab.ts")).registerLab,
  },
  {
    names: ["version"],
    load: async () => (await import("./commands/version.ts")).registerVersion,
  },
  {
    names: ["completion"],
    load: async () => (await import("./commands/completion.ts")).registerCompletion,
  },
];

/** Runs one command line, without the program's name; resolves to the exit status. */
export async function run(words: readonly string[], terminal: Terminal): Promise<number> {
  const json = wantsJson(words);
  try {
    const program = await buildProgram(terminal, { words, json });
    await program.parseAsync(withoutMisleadingHelp(program, words), { from: "user" });
    return EXIT_OK;
  } catch (error) {
    return reportFailure(terminal, error, json);
  }
}

/** Known before anything is parsed, because a line that cannot be parsed is to be answered in JSON too. */
function wantsJson(words: readonly string[]): boolean {
  const end = words.indexOf("--");
  return words.slice(0, end === -1 ? undefined : end).includes("--json");
}

interface Wanted {
  /** The command line, where only its command need be loaded. */
  readonly words?: readonly string[];
  /** The caller prints usage errors, as JSON. */
  readonly json?: boolean;
}

/** The whole program, or as much of it as the words ask for. */
export async function buildProgram(terminal: Terminal, wanted: Wanted = {}): Promise<Command> {
  const program = new Command("pan")
    .description("Makes a group of Linux machines act as one: steers and watches this node's agent")
    .addOption(
      new Option("--socket <path>", "Unix socket of the agent")
        .env("PANOPLY_SOCKET")
        .default(DEFAULT_SOCKET),
    )
    .exitOverride()
    .configureHelp({ showGlobalOptions: true })
    .configureOutput({
      writeOut: (text) => terminal.out(text),
      writeErr: (text) => (wanted.json === true ? undefined : terminal.err(text)),
      outputError: (text, write) => write(text.replace(/^error: /, "pan: ")),
      getOutHasColors: () => terminal.colour,
      getErrHasColors: () => terminal.colour,
    })
    .showHelpAfterError("See --help for what is possible.")
    .addHelpText("after", examples("pan status", "pan service list", "pan help service add"));
  const context: Context = { terminal, connect };
  for (const { load } of neededBy(wanted.words ?? [])) (await load())(program, context);
  return program;
}

const connect: Context["connect"] = async (command, timeoutMs) => {
  const { createClient } = await import("#api/client.ts");
  const { socket } = command.optsWithGlobals<Globals>();
  return createClient({ socketPath: socket, ...(timeoutMs === undefined ? {} : { timeoutMs }) });
};

/** The command's own module; all of them where the first word is none of them (help, completion, options). */
function neededBy([first = ""]: readonly string[]): typeof COMMANDS {
  const one = COMMANDS.filter(({ names }) => names.includes(first));
  return one.length > 0 ? one : COMMANDS;
}
