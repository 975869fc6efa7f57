// `pan node show`: what a bundle says and whether it would be accepted. The key in it is never printed.
import { X509Certificate } from "node:crypto";
import type { Command } from "commander";
import { PanError } from "#base/error-codes.ts";
import { serialText } from "#base/serial-number.ts";
import { type NodeBundle, readBundle } from "#driver/identity/bundle.ts";
import { fingerprintOf } from "#driver/identity/certificate.ts";
import { openBundle } from "#driver/identity/open-bundle.ts";
import { readClusterFile } from "../cluster-file.ts";
import { type Context, examples, printJson } from "../context.ts";

interface ShowOptions {
  readonly config?: string;
  readonly json?: true;
}

export function registerShow(node: Command, context: Context): void {
  node
    .command("show")
    .description("print what a bundle says, and whether a node would accept it; never its key")
    .argument("<bundle>", "file of the bundle")
    .option("--config <file>", "check it against this configuration's CA and revocations")
    .option("--json", "print one JSON object")
    .addHelpText("after", examples("pan node show m4.bundle --config cluster.yaml"))
    .action((file: string, options: ShowOptions) => show(context, file, options));
}

function show(context: Context, file: string, options: ShowOptions): void {
  const facts = factsOf(file, readBundle(file));
  const refusal = refusalOf(file, options.config);
  if (options.json === true) {
    const verdict =
      refusal === undefined
        ? { accepted: true }
        : { accepted: false, refusal: { code: refusal.code, message: refusal.message } };
    printJson(context.terminal, { ...facts, ...verdict });
    return;
  }
  const accepted = refusal === undefined ? "yes" : `no: ${refusal.message} [${refusal.code}]`;
  const rows = Object.entries({ ...facts, accepted });
  const width = Math.max(...rows.map(([key]) => key.length));
  for (const [key, value] of rows) {
    const text = Array.isArray(value) ? value.join(", ") || "none" : value;
    context.terminal.out(`${key.padEnd(width)}  ${text}\n`);
  }
}

/** Undefined: a node would accept the bundle now. */
function refusalOf(file: string, configFile: string | undefined): PanError | undefined {
  const config = configFile === undefined ? undefined : readClusterFile(configFile).config;
  const expectedCa = config?.cluster.ca;
  try {
    openBundle(file, {
      now: new Date(),
      revoked: config?.revoked ?? [],
      ...(expectedCa === undefined ? {} : { expectedCa }),
    });
    return undefined;
  } catch (error) {
    if (error instanceof PanError) return error;
    throw error;
  }
}

type Facts = Readonly<Record<string, string | number | readonly string[]>>;

function factsOf(file: string, { content }: NodeBundle): Facts {
  const certificate = parse(file, content.certificate);
  return {
    cluster: content.clusterName,
    ca: fingerprintOf(parse(file, content.caCertificate).raw),
    node: content.node.name,
    id: content.node.id,
    address: content.node.address,
    serial: serialText(certificate.serialNumber),
    validFrom: certificate.validFromDate.toISOString(),
    validUntil: certificate.validToDate.toISOString(),
    issuedAt: content.issuedAt,
    vips: content.vips,
    routes: content.routes.map(({ destination, via }) => `${destination} via ${via}`),
    errorLog: content.errorLog,
    minimumTls: content.security.minimumTls,
    revoked: content.security.revoked,
  };
}

function parse(file: string, pem: string): X509Certificate {
  try {
    return new X509Certificate(pem);
  } catch (cause) {
    const message = `${file} holds a certificate that cannot be read. Renew the bundle.`;
    throw new PanError("PAN_BUNDLE_UNREADABLE", message, { cause });
  }
}
