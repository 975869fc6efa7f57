// Reads a topology from YAML and judges it: every finding names file, line and remedy, and all
// findings are reported at once.
import { readFileSync } from "node:fs";
import path from "node:path";
import { Value } from "typebox/value";
import { isNode, LineCounter, parseDocument } from "yaml";
import { parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { interfaceOf, macOf, type Host, type Topology } from "./topology.ts";
import { TopologySchema } from "./topology-schema.ts";

type Path = readonly (string | number)[];
interface Finding {
  readonly path: Path;
  readonly message: string;
}

/** Reports of one file are cut here; who has more than this repairs these first. */
const MOST_FINDINGS = 20;

/**
 * Reads and checks a topology file.
 * Throws PAN_LAB_TOPOLOGY with one line "file:line: what and what to do" for each finding.
 */
export function readTopology(file: string): Topology {
  let text: string;
  try {
    text = readFileSync(file, "utf8");
  } catch (cause) {
    const reason = cause instanceof Error ? cause.message : String(cause);
    const remedy = "name an existing YAML file, or leave the name out for the standard topology";
    throw new PanError("PAN_LAB_TOPOLOGY", `${file}: cannot be read (${reason}); ${remedy}`, {
      cause,
    });
  }
  return parseTopology(text, file);
}

/** The same for text that is already there; `file` is only what the findings call it. */
export function parseTopology(text: string, file: string): Topology {
  const counter = new LineCounter();
  const document = parseDocument(text, { lineCounter: counter });
  const broken = document.errors[0];
  if (broken !== undefined) {
    const { line } = counter.linePos(broken.pos[0]);
    const what = broken.message.split("\n")[0] ?? "";
    throw new PanError("PAN_LAB_TOPOLOGY", `${file}:${line}: not YAML: ${what}`);
  }
  const lineOf = (at: Path): number => {
    for (let length = at.length; length >= 0; length--) {
      const node: unknown =
        length === 0 ? document.contents : document.getIn(at.slice(0, length), true);
      if (isNode(node) && node.range) return counter.linePos(node.range[0]).line;
    }
    return 1;
  };
  const value: unknown = document.toJS();
  const findings = findingsIn(value);
  if (findings.length === 0) return value as Topology;
  throw refusal(findings, (at) => `${file}:${lineOf(at)}`);
}

/** Checks a topology that code has built. Throws PAN_LAB_TOPOLOGY like parseTopology, without lines. */
export function checkTopology(topology: Topology): void {
  const findings = findingsIn(topology);
  if (findings.length > 0) throw refusal(findings, (at) => at.join("."));
}

function refusal(findings: readonly Finding[], place: (path: Path) => string): PanError {
  const shown = findings.slice(0, MOST_FINDINGS).map((f) => `${place(f.path)}: ${f.message}`);
  const more = findings.length - shown.length;
  if (more > 0) shown.push(`and ${more} more`);
  return new PanError("PAN_LAB_TOPOLOGY", shown.join("\n"));
}

function findingsIn(value: unknown): Finding[] {
  const shape = shapeFindings(value);
  return shape.length > 0 ? shape : meaningFindings(value as Topology);
}

interface SchemaError {
  readonly keyword: string;
  readonly instancePath: string;
  readonly params: object;
  readonly message: string;
  readonly schemaPath: string;
}

function shapeFindings(value: unknown): Finding[] {
  const findings: Finding[] = [];
  const seen = new Set<string>();
  for (const error of Value.Errors(TopologySchema, value) as SchemaError[]) {
    const path = pathOf(error.instancePath);
    const message = describe(error, at(value, path));
    const key = `${error.instancePath} ${message}`;
    if (message !== undefined && !seen.has(key)) findings.push({ path, message });
    seen.add(key);
  }
  return findings;
}

const pathOf = (pointer: string): Path =>
  pointer
    .split("/")
    .slice(1)
    .map((part) => part.replaceAll("~1", "/").replaceAll("~0", "~"))
    .map((part) => (/^\d+$/.test(part) ? Number(part) : part));

function at(value: unknown, path: Path): unknown {
  let found = value;
  for (const key of path) {
    if (typeof found !== "object" || found === null) return undefined;
    found = (found as Record<string, unknown>)[String(key)];
  }
  return found;
}

/** Undefined where another finding says the same more plainly. */
function describe(error: SchemaError, value: unknown): string | undefined {
  const given = JSON.stringify(value) ?? "nothing";
  const shown = given.length > 60 ? `${given.slice(0, 57)}…` : given;
  const params = error.params as Record<string, unknown>;
  switch (error.keyword) {
    case "boolean":
      return `unknown key "${pathOf(error.instancePath).at(-1)}"; remove it or correct its spelling`;
    case "additionalProperties":
      return undefined;
    case "required":
      return `missing ${JSON.stringify(params["requiredProperties"])}; add it`;
    case "pattern":
      return `${shown} is not valid; use ${hintAt(error.schemaPath)}`;
    case "anyOf":
      return `${shown} is not valid; write text, or {sizeBytes: N} for a file of that size`;
    case "type":
      if (error.schemaPath.includes("anyOf")) return undefined;
      if (params["type"] === "string") return `${shown} is not text; put it in quotes`;
      return `${shown} is not valid; write ${String(params["type"])}`;
    default:
      return error.schemaPath.includes("anyOf") ? undefined : `${shown} ${error.message}`;
  }
}

function hintAt(schemaPath: string): string {
  const schema = at(TopologySchema, schemaPath.replace(/^#/, "").split("/").slice(1)) as
    | { readonly hint?: string; readonly pattern?: string }
    | undefined;
  return schema?.hint ?? schema?.pattern ?? "another value";
}

function meaningFindings(topology: Topology): Finding[] {
  const findings: Finding[] = [];
  const names = new Map<string, string>();
  const claim = (name: string, what: string, at: Path): void => {
    const other = names.get(name);
    if (other !== undefined) {
      findings.push({ path: at, message: `the name ${name} is ${other}'s already; rename one` });
    } else names.set(name, what);
  };
  topology.switches.forEach(({ name }, i) => claim(name, "a switch", ["switches", i, "name"]));
  topology.hosts.forEach(({ name }, i) => claim(name, "a host", ["hosts", i, "name"]));
  const taken = new Map<string, string>();
  for (const [index, host] of topology.hosts.entries()) {
    findings.push(
      ...linkFindings(topology, host, index, taken),
      ...routeFindings(host, index),
      ...runFindings(host, index),
    );
  }
  return findings;
}

function linkFindings(
  topology: Topology,
  host: Host,
  index: number,
  taken: Map<string, string>,
): Finding[] {
  const findings: Finding[] = [];
  const switches = topology.switches.map(({ name }) => name);
  const interfaces = new Set<string>();
  const once = (key: string, what: string, at: Path): void => {
    const owner = taken.get(key);
    if (owner === undefined) taken.set(key, host.name);
    else findings.push({ path: at, message: `${what} is ${owner}'s already; give another` });
  };
  for (const [i, link] of (host.links ?? []).entries()) {
    const path = ["hosts", index, "links", i] as const;
    if (!switches.includes(link.switch)) {
      const message = `there is no switch "${link.switch}"; use one of ${switches.join(", ")}`;
      findings.push({ path: [...path, "switch"], message });
    }
    const name = interfaceOf(link);
    if (interfaces.has(name)) {
      const message = `${host.name} has an interface ${name} already; give this link another name`;
      findings.push({ path: [...path, "interface"], message });
    }
    interfaces.add(name);
    once(`${link.switch} ${macOf(host, link)}`, `MAC ${macOf(host, link)}`, [...path, "mac"]);
    for (const [j, address] of (link.addresses ?? []).entries()) {
      const at = [...path, "addresses", j];
      const fault = addressFault(address);
      if (fault !== undefined) findings.push({ path: at, message: fault });
      else once(`${link.switch} ${address.split("/")[0]}`, address, at);
    }
  }
  return findings;
}

function addressFault(text: string): string | undefined {
  const [address = "", length = ""] = text.split("/");
  const parsed = parseIp(address);
  if (parsed === undefined) return `"${address}" is no IP address; write 10.0.0.1/24 or fd00::1/64`;
  const most = parsed.includes(":") ? 128 : 32;
  if (Number(length) <= most) return undefined;
  return `prefix length ${length} is too long; it is at most ${most}`;
}

function routeFindings(host: Host, index: number): Finding[] {
  return (host.routes ?? []).flatMap((route, i) => {
    const path = ["hosts", index, "routes", i] as const;
    const to = route.to.split("/")[0] ?? "";
    const findings: Finding[] = [];
    if (route.to !== "default" && parseIp(to) === undefined) {
      findings.push({ path: [...path, "to"], message: `"${route.to}" is no destination` });
    }
    if (parseIp(route.via) === undefined) {
      findings.push({ path: [...path, "via"], message: `"${route.via}" is no IP address` });
    }
    return findings;
  });
}

function runFindings(host: Host, index: number): Finding[] {
  const findings: Finding[] = [];
  const names = new Set<string>();
  for (const [i, program] of (host.run ?? []).entries()) {
    const at = ["hosts", index, "run", i] as const;
    if (names.has(program.name)) {
      const message = `${host.name} runs a program ${program.name} already; rename one`;
      findings.push({ path: [...at, "name"], message });
    }
    names.add(program.name);
    for (const file of Object.keys(program.files ?? {})) {
      if (!path.isAbsolute(file) && !path.normalize(file).startsWith("..")) continue;
      const message = `"${file}" lies outside the host's folder; write a relative name without ..`;
      findings.push({ path: [...at, "files", file], message });
    }
  }
  for (const key of Object.keys(host.sysctls ?? {})) {
    if (/^net\.[a-z0-9_.-]+$/.test(key)) continue;
    const message = `"${key}" does not belong to a namespace; only sysctls under net. do`;
    findings.push({ path: ["hosts", index, "sysctls", key], message });
  }
  return findings;
}
