// `pan lab`: a whole cluster's hosts on this machine, to try Panoply and to see what faults do to it.
import { Argument, type Command, InvalidArgumentError } from "commander";
import type { Faults } from "#lab/faults.ts";
import type { Lab } from "#lab/lab.ts";
import type { HostStatus, LabStatus } from "#lab/status.ts";
import { type Context, examples, printJson, type Register, type Terminal } from "../context.ts";
import { formatTable } from "../table.ts";

const DEFAULT_NAME = "lab";
const DEFAULT_MEMBERS = 4;

interface Named {
  readonly name: string;
}

export const registerLab: Register = (program, context) => {
  const lab = program
    .command("lab")
    .description("try Panoply on this machine: hosts in network namespaces, and faults on demand")
    .addHelpText(
      "after",
      examples(
        "pan lab up",
        "pan lab exec c1 -- curl -s http://10.77.0.11/whoami",
        "pan lab fault kill m1",
        "pan lab down",
      ),
    );
  registerUp(lab, context);
  registerCheck(lab, context);
  registerDown(lab, context);
  registerExec(lab);
  registerStatus(lab, context);
  registerFault(lab, context);
};

/** The lab is loaded only where it is really worked with: it brings the drivers. */
async function open(name: string): Promise<Lab> {
  const { Lab, requireRoot } = await import("#lab/lab.ts");
  requireRoot("Working in network namespaces");
  return Lab.open(name);
}

const named = (command: Command): Command =>
  command.option("--name <lab>", "which lab, where there are several", DEFAULT_NAME);

function readMembers(text: string): number {
  const members = Number(text);
  if (Number.isInteger(members) && members >= 1 && members <= 80) return members;
  throw new InvalidArgumentError("Use a number of members from 1 to 80.");
}

function registerUp(lab: Command, { terminal }: Context): void {
  named(lab.command("up"))
    .description(
      "make the hosts and links and start their programs; they stay until `pan lab down`",
    )
    .argument("[file]", "topology (YAML); without it members with nginx, and a client")
    .option("--members <count>", "members of the standard topology", readMembers, DEFAULT_MEMBERS)
    .addHelpText(
      "after",
      examples("pan lab up", "pan lab up --members 8", "pan lab up examples/lab.yaml --name two"),
    )
    .action(async (file: string | undefined, options: Named & { members: number }) => {
      const { Lab } = await import("#lab/lab.ts");
      const made = await Lab.up(await topologyOf(file, options.members), { name: options.name });
      printStatus(terminal, await made.status());
      const which = options.name === DEFAULT_NAME ? "" : ` --name ${options.name}`;
      terminal.out(`Take it down with: pan lab down${which}\n`);
    });
}

async function topologyOf(file: string | undefined, members: number): Promise<Lab["topology"]> {
  if (file === undefined) {
    const { standardTopology } = await import("#lab/standard.ts");
    return standardTopology({ members });
  }
  const { readTopology } = await import("#lab/topology-file.ts");
  return readTopology(file);
}

function registerCheck(lab: Command, { terminal }: Context): void {
  lab
    .command("check")
    .description("judge a topology file without making anything (needs no root)")
    .argument("<file>", "topology (YAML)")
    .addHelpText("after", examples("pan lab check examples/lab.yaml"))
    .action(async (file: string) => {
      const { readTopology } = await import("#lab/topology-file.ts");
      const { hosts, switches } = readTopology(file);
      terminal.out(`${file}: ${hosts.length} hosts, ${switches.length} switches, no errors.\n`);
    });
}

function registerDown(lab: Command, { terminal }: Context): void {
  named(lab.command("down"))
    .description("end a lab's programs and remove all it has made, also after a crash")
    .addHelpText("after", examples("pan lab down", "pan lab down --name two"))
    .action(async ({ name }: Named) => {
      const { Lab } = await import("#lab/lab.ts");
      terminal.out(Lab.down(name) ? `Lab ${name} is down.\n` : `No lab ${name} was up.\n`);
    });
}

function registerExec(lab: Command): void {
  named(lab.command("exec"))
    .description("run a command in a host, with this terminal; its exit status is passed on")
    .argument("<host>", "name of the host")
    .argument("<command...>", "command and arguments; put -- before them")
    .addHelpText(
      "after",
      examples(
        "pan lab exec c1 -- ping -c 3 10.77.0.11",
        "pan lab exec m1 -- ip address",
        "pan lab exec m1 -- bash",
      ),
    )
    .action(async (host: string, words: string[], { name }: Named) => {
      const { statusOf } = await import("#lab/lab.ts");
      const opened = await open(name);
      // in this session, so that the terminal and its Ctrl-C are the command's
      const child = opened.spawn(host, words, { stdio: "inherit", detached: false });
      const ignore = (): void => undefined;
      process.on("SIGINT", ignore);
      const status = await statusOf(child, words);
      process.off("SIGINT", ignore);
      if (status !== 0) process.exit(status);
    });
}

function registerStatus(lab: Command, { terminal }: Context): void {
  named(lab.command("status"))
    .description("show hosts, links and programs")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan lab status", "pan lab status --json"))
    .action(async ({ name, json }: Named & { json?: true }) => {
      const status = await (await open(name)).status();
      if (json) printJson(terminal, status);
      else printStatus(terminal, status);
    });
}

function printStatus(terminal: Terminal, { name, hosts, folder }: LabStatus): void {
  const rows = hosts.map((host) => [host.name, host.state, linksText(host), programsText(host)]);
  const titles = ["HOST", "STATE", "LINKS", "PROGRAMS"].map((title) => ({ title }));
  terminal.out(`Lab ${name}, files in ${folder}\n${formatTable(titles, rows).join("\n")}\n`);
}

function linksText({ links, state }: HostStatus): string {
  return links
    .map((link) => {
      const faults = [
        ...(link.up || state === "dead" ? [] : ["down"]),
        ...(link.partition === 0 ? [] : [`partition ${link.partition}`]),
        ...(link.lossPercent === 0 ? [] : [`loses ${link.lossPercent} %`]),
      ];
      const suffix = faults.length === 0 ? "" : ` (${faults.join(", ")})`;
      return `${link.interface} ${link.addresses.join(" ")}${suffix}`;
    })
    .join("; ");
}

const programsText = ({ programs }: HostStatus): string =>
  programs.map(({ name, state }) => (state === "running" ? name : `${name} (${state})`)).join(", ");

function registerFault(lab: Command, context: Context): void {
  const fault = lab
    .command("fault")
    .description("make something go wrong in a lab, and right again");
  const simple = [
    ["kill", "a host dies at once and silently: link gone, processes gone, network gone"],
    ["revive", "a dead host boots again and starts its programs"],
    ["freeze", "stop all processes of a host; its kernel still answers ping"],
    ["thaw", "let the processes of a frozen host go on"],
  ] as const;
  for (const [action, description] of simple) {
    named(fault.command(action))
      .description(description)
      .argument("<host>", "name of the host")
      .addHelpText("after", examples(`pan lab fault ${action} m1`))
      .action(async (host: string, options: Named) =>
        make(context, options, (faults) => faults[action](host)),
      );
  }
  registerLinkFaults(fault, context);
  registerFrameFaults(fault, context);
}

async function make(
  { terminal }: Context,
  { name }: Named,
  change: (faults: Faults) => Promise<void>,
): Promise<void> {
  const lab = await open(name);
  await change(lab.faults);
  printStatus(terminal, await lab.status());
}

function registerLinkFaults(fault: Command, context: Context): void {
  named(fault.command("link"))
    .description("take a host's links down at the switch, or up again")
    .argument("<host>", "name of the host")
    .addArgument(new Argument("<state>").choices(["up", "down"]))
    .option("--interface <name>", "only the link of this interface")
    .addHelpText("after", examples("pan lab fault link m1 down", "pan lab fault link m1 up"))
    .action(async (host: string, state: "up" | "down", options: Named & { interface?: string }) =>
      make(context, options, (faults) => faults.link(host, state, options.interface)),
    );
  named(fault.command("partition"))
    .description("split the switches: hosts reach only hosts of their group")
    .argument("<groups...>", "two groups or more, each a list of hosts; others join the first")
    .addHelpText("after", examples("pan lab fault partition c1,m1,m2 m3,m4"))
    .action(async (words: string[], options: Named) => {
      const groups = words
        .flatMap((word) => word.split("|"))
        .map((group) => group.split(",").map((host) => host.trim()))
        .map((group) => group.filter((host) => host !== ""))
        .filter((group) => group.length > 0);
      await make(context, options, (faults) => faults.partition(groups));
    });
  named(fault.command("heal"))
    .description("undo a partition")
    .addHelpText("after", examples("pan lab fault heal"))
    .action(async (options: Named) => make(context, options, (faults) => faults.heal()));
}

function registerFrameFaults(fault: Command, context: Context): void {
  named(fault.command("loss"))
    .description("lose frames at random, in each direction by itself; 0 ends it")
    .argument("<host>", "name of the host, or all")
    .argument("<percent>", "share of the frames, 0 to 100")
    .addHelpText("after", examples("pan lab fault loss m1 10", "pan lab fault loss all 0"))
    .action(async (host: string, percent: string, options: Named) =>
      make(context, options, (faults) =>
        faults.loss(host, percent.trim() === "" ? Number.NaN : Number(percent.replace(/%$/, ""))),
      ),
    );
  named(fault.command("delay", { hidden: true }))
    .argument("<host>", "name of the host")
    .argument("<ms>", "milliseconds")
    .action(async (host: string, ms: string, options: Named) =>
      make(context, options, (faults) => faults.delay(host, Number(ms))),
    );
}
