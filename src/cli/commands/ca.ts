// `pan ca init`: makes the CA that says which machines are nodes of the cluster (A2, A19).
import { PanError } from "#base/error-codes.ts";
import { pinCa } from "#config/edits.ts";
import { createCa } from "#driver/identity/authority.ts";
import { changeClusterFile, DEFAULT_CONFIG, readClusterFileIfAny } from "../cluster-file.ts";
import { type Context, examples, type Register } from "../context.ts";

export const DEFAULT_CA = "/etc/panoply/ca";

interface InitOptions {
  readonly folder: string;
  readonly cluster?: string;
  readonly config: string;
}

export const registerCa: Register = (program, context) => {
  program
    .command("ca")
    .description("the authority that certifies nodes; keep its folder off the nodes and backed up")
    .command("init")
    .description("make the cluster's CA and name it in the cluster configuration")
    .option("--folder <folder>", "where the CA's key and certificate are kept", DEFAULT_CA)
    .option("--cluster <name>", "name of the cluster (default: as in the configuration)")
    .option("--config <file>", "cluster configuration that is to name the CA", DEFAULT_CONFIG)
    .addHelpText(
      "after",
      examples("pan ca init --config cluster.yaml --folder ca", "pan ca init --cluster demo"),
    )
    .action(async (options: InitOptions) => init(context, options));
};

async function init(context: Context, options: InitOptions): Promise<void> {
  const file = readClusterFileIfAny(options.config);
  const name = options.cluster ?? file?.config.cluster.name;
  if (name === undefined) {
    throw new PanError(
      "PAN_CONFIG_UNREADABLE",
      `There is no ${options.config}; name the cluster with --cluster, or its file with --config.`,
    );
  }
  if (file !== undefined && file.config.cluster.name !== name) {
    throw new PanError(
      "PAN_CONFLICT",
      `${options.config} is of the cluster "${file.config.cluster.name}", not "${name}"; ` +
        "name another file with --config.",
    );
  }
  if (file?.config.cluster.ca !== undefined) {
    throw new PanError(
      "PAN_CONFLICT",
      `${options.config} names a CA already. Use that one; to replace it, remove cluster.ca ` +
        "first and renew every node's bundle afterwards.",
    );
  }
  const { fingerprint } = await createCa(options.folder, name);
  context.terminal.out(`The CA of cluster ${name} is in ${options.folder}: ${fingerprint}\n`);
  if (file !== undefined) {
    changeClusterFile(file, pinCa(file.config, fingerprint));
    context.terminal.out(`${options.config} names it now.\n`);
  } else {
    context.terminal.out(`Write it into the cluster configuration: ca: "${fingerprint}"\n`);
  }
}
