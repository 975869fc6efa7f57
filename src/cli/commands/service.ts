// `pan service`: which services the cluster serves, and how much of them each node gets (B8).
import { Argument, type Command, InvalidArgumentError, Option } from "commander";
import type { AddService, Changed, ServiceGroup } from "#api/contract.ts";
import { ip } from "#base/address.ts";
import { LIMITS, type Service } from "#config/schema.ts";
import { formatService, parseService } from "#config/service.ts";
import { type Context, examples, printJson, type Register, type Terminal } from "../context.ts";
import { UsageError } from "../failure.ts";
import { formatTable } from "../table.ts";

const POLICIES = ["weighted", "sticky", "wildcard-sticky", "failover", "quic"] as const;

interface AddOptions {
  readonly create?: (typeof POLICIES)[number];
  readonly slots?: number;
  readonly node?: readonly { readonly name: string; readonly weight: number }[];
}

export const registerService: Register = (program, context) => {
  const service = program
    .command("service")
    .description("list, add, remove and weigh services, at run time");
  registerList(service, context);
  registerAdd(service, context);
  registerRemove(service, context);
  registerWeight(service, context);
};

const protocol = (): Argument =>
  new Argument("<protocol>", "any: whatever no other service of the address takes").choices([
    "tcp",
    "udp",
    "any",
  ]);
const address = (): Argument =>
  new Argument(
    "<address:port>",
    "IPv6 in brackets; port * or any: every port; protocol any: only the address",
  );

/** Before anything is sent: the agent would refuse it too, but less clearly. */
function readService(protocolName: string, text: string): Service {
  const parsed = parseService(`${protocolName} ${text.replace(/:any$/, ":*")}`);
  if (!parsed.ok) throw new UsageError(`Cannot use "${text}": ${parsed.reason}.`);
  return parsed.service;
}

function registerList(service: Command, context: Context): void {
  service
    .command("list")
    .description("list the service groups with their services and nodes")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan service list", "pan service list --json"))
    .action(async ({ json }: { json?: true }, command: Command) => {
      const list = await (await context.connect(command)).services({});
      if (json) printJson(context.terminal, list);
      else printGroups(context.terminal, list.groups);
    });
}

function printGroups(terminal: Terminal, groups: readonly ServiceGroup[]): void {
  if (groups.length === 0) {
    terminal.out(
      "No services yet. Add one: pan service add --create weighted web tcp ADDRESS:80\n",
    );
    return;
  }
  const rows = groups.flatMap(({ group, policy, slots, services, nodes }) => {
    const shares = nodes.map(({ name, weight }) => `${name}=${weight}`).join(" ");
    const texts = services.map((one) => formatService({ ...one, vip: ip(one.vip) }));
    return [texts[0] ?? "–", ...texts.slice(1)].map((text, line) =>
      line === 0 ? [group, policy, String(slots), text, shares] : ["", "", "", text, ""],
    );
  });
  const columns = [
    { title: "GROUP" },
    { title: "POLICY" },
    { title: "SLOTS", align: "right" as const },
    { title: "SERVICE" },
    { title: "NODES" },
  ];
  terminal.out(`${formatTable(columns, rows).join("\n")}\n`);
}

function registerAdd(service: Command, context: Context): void {
  service
    .command("add")
    .description("add a service to a group")
    .argument("<group>", "name of the service group")
    .addArgument(protocol())
    .addArgument(address())
    .addOption(
      new Option("--create <policy>", "make the group first, if it is not there").choices(POLICIES),
    )
    .option("--slots <count>", "slots of the new group, a power of two (default: 1024)", parseSlots)
    .option(
      "--node <name[=weight]>",
      "node that may serve the new group; repeat it (default: every node)",
      parseNode,
    )
    .addHelpText(
      "after",
      examples(
        "pan service add web tcp 10.77.0.100:443",
        "pan service add dns udp [fd77::100]:53 --create sticky --slots 4096",
        "pan service add vpn any 10.77.0.102 --create sticky",
        "pan service add ftp tcp 10.77.0.101:any --create wildcard-sticky --node alpha=2 --node beta",
      ),
    )
    .action(
      async (group: string, name: string, text: string, options: AddOptions, command: Command) => {
        const body = { group, service: readService(name, text), ...creation(options) };
        const changed = await (await context.connect(command)).addService({ body });
        reportChange(context.terminal, changed);
      },
    );
}

function creation({ create, slots, node }: AddOptions): Pick<AddService, "create"> {
  if (create === undefined) {
    if (slots === undefined && node === undefined) return {};
    throw new UsageError("--slots and --node describe a new group: add --create POLICY.");
  }
  return {
    create: {
      policy: create,
      ...(slots === undefined ? {} : { slots }),
      ...(node === undefined ? {} : { nodes: [...node] }),
    },
  };
}

function parseSlots(text: string): number {
  const slots = Number(text);
  const powerOfTwo = Number.isInteger(slots) && Number.isInteger(Math.log2(slots));
  if (powerOfTwo && slots >= 2 && slots <= LIMITS.slotsPerGroup) return slots;
  throw new InvalidArgumentError(`give a power of two, 2 to ${LIMITS.slotsPerGroup}`);
}

function parseWeight(text: string): number {
  const weight = /^\d+$/.test(text) ? Number(text) : -1;
  if (weight >= 0 && weight <= LIMITS.weight) return weight;
  throw new InvalidArgumentError(`give a weight, 0 to ${LIMITS.weight}`);
}

function parseNode(text: string, before: AddOptions["node"] = []): NonNullable<AddOptions["node"]> {
  const [name = "", weight = "1"] = text.split("=", 2);
  return [...before, { name, weight: parseWeight(weight) }];
}

function registerRemove(service: Command, context: Context): void {
  service
    .command("remove")
    .description("remove a service; its group goes with its last service")
    .addArgument(protocol())
    .addArgument(address())
    .addHelpText("after", examples("pan service remove tcp 10.77.0.100:443"))
    .action(async (name: string, text: string, _options: object, command: Command) => {
      const body = { service: readService(name, text) };
      const changed = await (await context.connect(command)).removeService({ body });
      reportChange(context.terminal, changed);
    });
}

function registerWeight(service: Command, context: Context): void {
  service
    .command("weight")
    .description("set a node's share of a group; established connections stay where they are")
    .argument("<group>", "name of the service group")
    .argument("<node>", "name of the node")
    .argument(
      "<weight>",
      `0 to ${LIMITS.weight}, relative to the other nodes; 0: no slots`,
      parseWeight,
    )
    .addHelpText("after", examples("pan service weight web beta 3"))
    .action(
      async (group: string, node: string, weight: number, _options: object, command: Command) => {
        const client = await context.connect(command);
        const changed = await client.setWeight({ params: { group, node }, body: { weight } });
        reportChange(context.terminal, changed);
      },
    );
}

/** Every changing command ends with the configuration that contains its change. */
export function reportChange(terminal: Terminal, { config, waiting }: Changed): void {
  terminal.out(`Configuration ${config.counter} (${config.digest}) is in force.\n`);
  if (waiting.length === 0) return;
  const settings = waiting.join(", ");
  terminal.out(`${settings}: followed at each node when its agent starts again.\n`);
}
