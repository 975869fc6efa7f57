// `pan node`: admits machines to the cluster, renews and revokes their certificates, shows a bundle.
// Runs where the CA is; the running cluster learns of it through `pan config apply`.
import { rmSync } from "node:fs";
import { type Command, InvalidArgumentError, Option } from "commander";
import { type IpAddress, parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { MAX_NODE_ID, type NodeId, nodeId } from "#base/ids.ts";
import { virtualAddresses } from "#config/config.ts";
import { addNode, pinCa, revoke } from "#config/edits.ts";
import { NODE_DELIVERIES, type NodeDeliveryKind } from "#config/node-delivery-schema.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import { suggestion } from "#config/spelling.ts";
import { issuedCertificates, issueNode, readCa } from "#driver/identity/authority.ts";
import { writeBundle } from "#driver/identity/bundle.ts";
import type { StaticRoute } from "#driver/identity/identity.ts";
import {
  changeClusterFile,
  type ClusterFile,
  DEFAULT_CONFIG,
  readClusterFile,
} from "../cluster-file.ts";
import { type Context, examples, type Register } from "../context.ts";
import { DEFAULT_CA } from "./ca.ts";
import { registerShow } from "./node-show.ts";

interface Places {
  readonly config: string;
  readonly ca: string;
}

interface IssueOptions extends Places {
  readonly out?: string;
  readonly days: number;
  readonly route: readonly StaticRoute[];
  readonly errorLog: string;
  readonly replace?: true;
}

interface AddOptions extends IssueOptions {
  readonly id?: NodeId;
  readonly interface?: string;
  readonly delivery: NodeDeliveryKind;
}

interface RevokeOptions extends Places {
  readonly serial?: string;
}

export const registerNode: Register = (program, context) => {
  const node = program
    .command("node")
    .description("admit machines to the cluster, renew and revoke their certificates");
  registerAdd(node, context);
  registerRenew(node, context);
  registerRevoke(node, context);
  registerShow(node, context);
};

const places = (command: Command): Command =>
  command
    .option("--config <file>", "cluster configuration", DEFAULT_CONFIG)
    .option("--ca <folder>", "folder of the cluster's CA", DEFAULT_CA);

const issuing = (command: Command): Command =>
  places(command)
    .option("--out <file>", "where to write the bundle (default: NAME.bundle)")
    .option("--replace", "replace the file where the bundle is written")
    .option("--days <count>", "how long the certificate is valid", readDays, 365)
    .option("--route <route>", 'static route, "PREFIX via ADDRESS"; repeatable', readRoute, [])
    .option("--error-log <place>", "file of the node's error log, or stderr", "stderr");

function readAddress(text: string): IpAddress {
  const address = parseIp(text);
  if (address === undefined) throw new InvalidArgumentError("It is not an IP address.");
  return address;
}

function readId(text: string): NodeId {
  const id = /^\d{1,4}$/.test(text) ? Number(text) : 0;
  if (id < 1 || id > MAX_NODE_ID) throw new InvalidArgumentError(`Use 1 to ${MAX_NODE_ID}.`);
  return nodeId(id);
}

function readDays(text: string): number {
  if (!/^[1-9]\d{0,4}$/.test(text)) throw new InvalidArgumentError("Use a number of days.");
  return Number(text);
}

function readRoute(text: string, before: readonly StaticRoute[]): readonly StaticRoute[] {
  const [, destination = "", gateway = ""] = /^(\S+) +via +(\S+)$/.exec(text.trim()) ?? [];
  const via = parseIp(gateway);
  if (via === undefined) {
    throw new InvalidArgumentError('Write it like "10.0.0.0/8 via 10.77.0.1".');
  }
  return [...before, { destination, via }];
}

function registerAdd(node: Command, context: Context): void {
  issuing(node.command("add"))
    .description("admit a machine: adds it to the configuration and writes its bundle")
    .argument("<name>", "name of the node")
    .argument("<address>", "the machine's own IP address", readAddress)
    .option("--id <number>", "number of the node (default: the next free one)", readId)
    .option("--interface <name>", "its network interface, where it is not the cluster's")
    .addOption(
      new Option("--delivery <how>", "how frames reach it: directly, or encapsulated (B11)")
        .choices(NODE_DELIVERIES)
        .default("direct"),
    )
    .addHelpText("after", examples("pan node add m4 10.77.0.14 --config cluster.yaml --ca ca"))
    .action(async (name: string, address: IpAddress, options: AddOptions) => {
      const file = readClusterFile(options.config);
      const added = addNode(file.config, {
        name,
        address,
        ...(options.id === undefined ? {} : { id: options.id }),
        ...(options.interface === undefined ? {} : { interface: options.interface }),
        ...(options.delivery === "direct" ? {} : { delivery: options.delivery }),
      });
      await issueFor(context, { file, config: added, node: requireNode(added, name), options });
    });
}

function registerRenew(node: Command, context: Context): void {
  issuing(node.command("renew"))
    .description("issue a new certificate and bundle for a node; the old one stays valid")
    .argument("<name>", "name of the node")
    .addHelpText("after", examples("pan node renew m4 --config cluster.yaml --ca ca --replace"))
    .action(async (name: string, options: IssueOptions) => {
      const file = readClusterFile(options.config);
      const present = requireNode(file.config, name);
      await issueFor(context, { file, config: file.config, node: present, options });
    });
}

function requireNode(config: ClusterConfig, name: string): NodeConfig {
  const node = config.nodes.find((candidate) => candidate.name === name);
  if (node !== undefined) return node;
  const known = config.nodes.map((candidate) => candidate.name);
  const remedy = suggestion(name, known) || ` Known: ${known.join(", ") || "none"}.`;
  throw new PanError("PAN_NOT_FOUND", `There is no node "${name}" in the configuration.${remedy}`);
}

interface Issue {
  readonly file: ClusterFile;
  /** The configuration as it will be. */
  readonly config: ClusterConfig;
  readonly node: NodeConfig;
  readonly options: IssueOptions;
}

/** A CA of another cluster would make bundles that no node accepts. */
function requireOwnCa({ file, config, options }: Issue): ClusterConfig {
  const ca = readCa(options.ca);
  if (ca.clusterName === config.cluster.name) return pinCa(config, ca.fingerprint);
  throw new PanError(
    "PAN_CONFLICT",
    `The CA in ${options.ca} is of the cluster "${ca.clusterName}", but ${file.file} of ` +
      `"${config.cluster.name}"; name the right folder with --ca.`,
  );
}

/** The bundle first, then the configuration: an admitted node always has a bundle. */
async function issueFor(context: Context, issue: Issue): Promise<void> {
  const { file, node, options } = issue;
  const config = requireOwnCa(issue);
  const out = options.out ?? `${node.name}.bundle`;
  const bundle = await issueNode(options.ca, {
    name: node.name,
    id: node.id,
    address: node.address,
    days: options.days,
    vips: virtualAddresses(config),
    routes: options.route,
    errorLog: options.errorLog,
    revoked: config.revoked,
  });
  writeBundle(out, bundle, { replace: options.replace === true });
  try {
    changeClusterFile(file, config);
  } catch (error) {
    rmSync(out, { force: true });
    throw error;
  }
  const print = (line: string): void => context.terminal.out(line);
  print(`Node ${node.name}: id ${node.id}, address ${node.address}; its bundle is ${out}.\n`);
  print(`Copy it to /etc/panoply/node.bundle on ${node.name}; it holds the node's private key.\n`);
  print(`Then tell the cluster: pan config apply ${file.file}\n`);
}

function registerRevoke(node: Command, context: Context): void {
  places(node.command("revoke"))
    .description("refuse every certificate that a node has been issued")
    .argument("<name>", "name of the node")
    .option("--serial <hex>", "only the certificate with this serial number")
    .addHelpText("after", examples("pan node revoke m4 --config cluster.yaml --ca ca"))
    .action((name: string, options: RevokeOptions) => revokeNode(context, name, options));
}

function revokeNode(context: Context, name: string, options: RevokeOptions): void {
  const file = readClusterFile(options.config);
  const serials =
    options.serial === undefined ? serialsOf(name, options.ca) : [options.serial.toLowerCase()];
  const config = serials.reduce(revoke, file.config);
  const count = config.revoked.length - file.config.revoked.length;
  changeClusterFile(file, config);
  context.terminal.out(
    count === 0
      ? `Every certificate of ${name} was revoked already.\n`
      : `Revoked ${count} of ${name}: ${config.revoked.slice(-count).join(", ")}\n` +
          `Tell the cluster: pan config apply ${file.file}\n`,
  );
}

/** Serial numbers of what was issued for the node and has not yet ended; the rest is refused anyway. */
function serialsOf(name: string, caFolder: string): string[] {
  const issued = issuedCertificates(caFolder);
  const now = new Date().toISOString();
  const serials = issued
    .filter((certificate) => certificate.name === name && certificate.notAfter > now)
    .map(({ serial }) => serial);
  if (serials.length > 0) return serials;
  const known = new Set(issued.map((certificate) => certificate.name));
  throw new PanError(
    "PAN_NOT_FOUND",
    `The CA in ${caFolder} has issued no certificate for "${name}" that is still valid.` +
      `${suggestion(name, known)} Name a certificate with --serial, or another CA with --ca.`,
  );
}
