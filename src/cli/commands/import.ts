// `pan import`: the configuration of another load balancer as one of ours. Standard output is the configuration, checked as any file of
// ours is; everything in the input that has no exact counterpart is a line on standard error.
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { type Command, InvalidArgumentError } from "commander";
import { familyOf, type IpAddress, parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { compose, type NamedNode } from "#config/import/compose.ts";
import { readIpvs } from "#config/import/ipvs.ts";
import { readKeepalived } from "#config/import/keepalived.ts";
import type { ReadFiles } from "#config/import/keepalived-lines.ts";
import { formatNote, type Imported } from "#config/import/model.ts";
import { formatProblem, loadConfig } from "#config/load.ts";
import { readText } from "../cluster-file.ts";
import { type Context, examples, type Register } from "../context.ts";

const KEEPALIVED_CONF = "/etc/keepalived/keepalived.conf";

interface Options {
  readonly name: string;
  readonly interface?: string;
  readonly node: readonly NamedNode[];
  readonly strict?: true;
}

export const registerImport: Register = (program, context) => {
  const group = program
    .command("import")
    .description("turn the configuration of another load balancer into one of ours");
  common(group.command("ipvs"))
    .description("from what `ipvsadm -S -n` prints; what does not map is listed on standard error")
    .argument("[file]", "file to read; - for standard input", "-")
    .addHelpText(
      "after",
      examples(
        "ipvsadm -S -n | pan import ipvs > cluster.yaml",
        "pan import ipvs rules.ipvs --node web1=10.0.0.11,fd00::11 --interface eth1 > cluster.yaml",
      ),
    )
    .action((file: string, options: Options) => {
      const name = file === "-" ? "standard input" : file;
      print(context, readIpvs(textOf(file), name), { options, source: name });
    });
  common(group.command("keepalived"))
    .description("from a keepalived.conf; what does not map is listed on standard error")
    .argument("[file]", "file to read; - for standard input", KEEPALIVED_CONF)
    .addHelpText(
      "after",
      examples(
        "pan import keepalived > cluster.yaml",
        "pan import keepalived keepalived.conf --name web --node web1=10.0.0.11,fd00::11 > cluster.yaml",
      ),
    )
    .action((file: string, options: Options) => {
      const name = file === "-" ? "standard input" : file;
      print(context, readKeepalived(textOf(file), name, readFiles), { options, source: name });
    });
};

const common = (command: Command): Command =>
  command
    .option("--name <name>", "name of the cluster", parseName, "imported")
    .option("--interface <name>", "interface of the nodes that has the clients' traffic")
    .option(
      "--node <name=address,…>",
      "name a node by its IPv4 address, and by other addresses that the file has for it; repeatable",
      addNode,
      [],
    )
    .option("--strict", "fail when anything does not map");

const LABEL = /^[a-z0-9]([a-z0-9-]{0,61}[a-z0-9])?$/;

function parseName(text: string): string {
  if (LABEL.test(text)) return text;
  throw new InvalidArgumentError("give 1 to 63 lower-case letters, digits and inner hyphens");
}

function addNode(text: string, before: readonly NamedNode[]): NamedNode[] {
  const [, name = "", list = ""] = /^([^=]*)=(.*)$/.exec(text) ?? [];
  const addresses = list.split(",").map(parseIp);
  const known = addresses.filter((address): address is IpAddress => address !== undefined);
  const [address, ...others] = known;
  if (
    !LABEL.test(name) ||
    address === undefined ||
    familyOf(address) === 6 ||
    known.length < addresses.length
  ) {
    throw new InvalidArgumentError(
      "give NAME=IPV4 or NAME=IPV4,ADDRESS,…, such as web1=10.0.0.11,fd00::11",
    );
  }
  const taken = before.some(
    (node) =>
      node.name === name || [node.address, ...node.others].some((each) => known.includes(each)),
  );
  if (taken) throw new InvalidArgumentError(`${name}, or an address of it, was given before`);
  return [...before, { name, address, others }];
}

function textOf(file: string): string {
  if (file !== "-") return readText(file);
  return readFileSync(0, "utf8");
}

/** As keepalived does it: relative to the folder of the file that includes, with * and ?. */
const readFiles: ReadFiles = (pattern, from) => {
  const folder = from === "standard input" ? "." : path.dirname(from);
  const files = globSync(path.resolve(folder, pattern)).sort();
  try {
    return files.map((file) => ({ file, text: readFileSync(file, "utf8") }));
  } catch {
    return undefined; // the reader says which line names it
  }
};

interface Wanted {
  readonly options: Options;
  readonly source: string;
}

function print({ terminal }: Context, imported: Imported, { options, source }: Wanted): void {
  const { yaml, notes } = compose(imported, {
    clusterName: options.name,
    ...(options.interface === undefined ? {} : { interface: options.interface }),
    nodes: options.node,
    source,
  });
  for (const note of notes) terminal.err(`${formatNote(note)}\n`);
  const wrong = notes.filter(({ kind }) => kind === "wrong").length;
  if (wrong > 0) {
    const lines =
      wrong === 1 ? "a line that cannot be read is" : `${wrong} lines that cannot be read are`;
    throw new PanError(
      "PAN_IMPORT_INVALID",
      `Nothing is imported from ${source}: ${lines} listed above`,
    );
  }
  requireValid(yaml, source);
  if (options.strict === true && notes.length > 0) {
    throw new PanError(
      "PAN_IMPORT_INVALID",
      `Nothing is imported from ${source}: with --strict everything must map`,
    );
  }
  terminal.out(yaml);
}

/** By the loader that every configuration goes through. */
function requireValid(yaml: string, source: string): void {
  const loaded = loadConfig(yaml, source);
  if (loaded.ok) return;
  const reasons = loaded.problems.map((problem) => `  ${formatProblem(problem)}`);
  throw new PanError(
    "PAN_IMPORT_INVALID",
    [`What ${source} asks for is no valid configuration:`, ...reasons].join("\n"),
  );
}
