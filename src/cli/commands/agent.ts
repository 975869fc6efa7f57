// `pan agent`: runs this node's agent in the foreground, or removes what an agent has left on the host.
import { type Command, Option } from "commander";
import { type AgentOptions, LOG_LEVELS } from "#daemon/agent-options.ts";
import { examples, type Register } from "../context.ts";

type Options = Omit<AgentOptions, "interface" | "applicationsSocket"> & {
  readonly interface?: string;
  readonly applicationsSocket?: string;
  readonly teardown?: true;
};

export const registerAgent: Register = (program, context) => {
  program
    .command("agent")
    .description("run this node's agent in the foreground (systemd starts it so)")
    .option("--config <file>", "cluster configuration", "/etc/panoply/cluster.yaml")
    .option("--bundle <file>", "this node's bundle", "/etc/panoply/node.bundle")
    .option("--state-folder <folder>", "what outlives a restart", "/var/lib/panoply")
    .option(
      "--applications-socket <path>",
      "Unix socket for applications (default: applications.sock beside --socket)",
    )
    .option("--hooks-folder <folder>", "scripts that are told what happens", "/etc/panoply/hooks.d")
    .option("--interface <name>", "network interface (default: as configured)")
    .addOption(
      new Option("--log-level <level>", "least severe messages to log")
        .choices(LOG_LEVELS)
        .default("info"),
    )
    .option("--teardown", "remove programs, addresses and settings that an agent left, and exit")
    .addHelpText(
      "after",
      "\nPackets keep flowing by the last tables while the agent is stopped, restarted or upgraded.\n" +
        "Only --teardown takes the node out of the packet path.\n" +
        examples(
          "pan agent",
          "pan agent --config ./cluster.yaml --bundle ./alpha.bundle",
          "pan agent --teardown",
        ),
    )
    .action(async (_options: object, command: Command) => {
      const { teardown, ...options } = command.optsWithGlobals<Options>();
      const request: AgentOptions = {
        ...options,
        interface: options.interface,
        applicationsSocket: options.applicationsSocket,
      };
      if (teardown !== true) (await import("#daemon/few-rights.ts")).startWithFewerRights();
      // Loaded only here: it brings the HTTP server and the drivers.
      const { runAgent, teardownAgent } = await import("#daemon/agent.ts");
      if (teardown !== true) return runAgent(request);
      for (const line of await teardownAgent(request)) context.terminal.out(`${line}\n`);
    });
};
