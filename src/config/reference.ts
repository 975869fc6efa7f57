// Writes the reference page of the configuration from its schema (docs/reference/config.md).
import { HEALTH_LIMITS } from "./health-schema.ts";
import { ClusterSchema, LIMITS } from "./schema.ts";
import type { Shape } from "./shape.ts";

/** docs/reference/config.md, whole. `pan config docs` prints the same. */
export function configReference(): string {
  const sections = sectionsOf(ClusterSchema, "");
  return `${[HEAD, ...sections, TAIL].join("\n\n")}\n`;
}

const HEAD = `# Configuration of a cluster

<!-- Written by \`pan config docs\` from src/config/schema.ts. Change the schema, not this page. -->

One YAML file describes one cluster; every node has the same one. \`pan config check FILE\` reports
every mistake in it (up to ${LIMITS.problems}) with line and column, and changes nothing. \`examples/cluster.yaml\` is an example
with comments. Unknown keys are refused. A key without a value means its default.`;

const count = (value: number): string => value.toLocaleString("en").replaceAll(",", " ");

const TAIL = `## Limits

| what | at most |
| --- | --- |
| nodes | ${count(LIMITS.nodes)} |
| service groups | ${count(LIMITS.groups)} |
| health checks of a group | ${count(HEALTH_LIMITS.checksPerGroup)} |
| services in all groups | ${count(LIMITS.services)} |
| virtual addresses | ${count(LIMITS.vips)} |
| arms of one node | ${count(LIMITS.arms)} |
| addresses of one node beside \`address\` | ${count(LIMITS.addresses)} |
| slots of one group | ${count(LIMITS.slotsPerGroup)} |
| slots of all groups | \`datapath.slotCapacity\`, ${count(LIMITS.slots)} |
| revoked certificates | ${count(LIMITS.revoked)} |
| characters of the file | ${count(LIMITS.fileCharacters)} |

## Rules beyond the tables

- Names, ids and addresses of nodes and names of groups are unique.
- A service belongs to one group only. The same virtual address may have ports in one group and any
  port (\`*\`) in another: the port is looked up first (B2).
- \`*\` needs the policy \`wildcard-sticky\` or \`failover\`.
- A check has only the keys of its type, and something to ask: a service of the group that fits, or a target and a port.
  \`slowStartMs\` needs the assignment \`eager\` (B7).
- The services of a group with the policy \`quic\` are of UDP, with a port each (A14).
- \`any ADDRESS\` is looked up last: it takes what no other service of the address takes, of every protocol.
- At most one group is \`routed\` or \`routed-symmetric\`. It has no services, since its traffic is for no virtual
  address, and it needs a \`delivery.method\` other than \`forward\` (A22). Its \`assignment\` is \`eager\`: a frame that
  waits for an owner would go on by another interface than it came.
- \`peering\` needs \`delivery.method: unicast\`, and its \`primary\` is a virtual address of the cluster. No two nodes may
  have the same dedicated MAC, nor one of the cluster MACs (C14). \`sourceCheck\` needs \`learnFromRequests: false\` and
  goes with no \`localResponder\`: who is never asked would never be heard.
- \`interfaceNodes\` names nodes of \`nodes\` and virtual addresses of the cluster, each once. It holds with the method \`forward\`; with
  the others every member receives every frame, and the master answers for all (B10).
- A node with \`delivery: ipip\` or \`geneve\` is beyond the segment (B11): it needs \`delivery.method: forward\`, goes with no \`peering\`,
  and is named by no \`interfaceNodes\`. At least one node is \`direct\`. \`pathMtu\` and \`clampMss\` are for such nodes only.
- A virtual address is never a node's own address, and both are unicast addresses; IPv4 and IPv6 mix
  freely.
- A group's list names nodes of \`nodes\`, each once, at least one with a weight above 0, and not more
  nodes than the group has slots.
- The slots of all groups together fit into \`datapath.slotCapacity\`; a group counts as 4 at least.
  Leave room to spare: a group that changes its size needs the old and the new slots for a moment.

## Version

Two files that mean the same have the same version, however they are written: it is a counter and the
first eight bytes of SHA-256 over the canonical form (defaults written out, keys and lists in a fixed
order, no comments). A node whose version is not the cluster's is told to leave, fetches the current
configuration and joins again (A4).`;

/** One section for this mapping, then those of the mappings inside it. */
function sectionsOf(shape: Shape, path: string): string[] {
  const title = path === "" ? "Top level" : `\`${path}\``;
  const rows: string[] = [];
  const inner: string[] = [];
  for (const [key, member] of Object.entries(shape.properties ?? {})) {
    const here = path === "" ? key : `${path}.${key}`;
    const required = shape.required?.includes(key) === true && member.default === undefined;
    rows.push(row(key, member, required));
    const list = listOf(member);
    if (member.properties !== undefined) inner.push(...sectionsOf(member, here));
    else if (list?.items?.properties !== undefined) {
      inner.push(...sectionsOf(list.items, `${here}[]`));
    }
  }
  const table = ["| key | value | default | meaning |", "| --- | --- | --- | --- |", ...rows];
  return [[`## ${title}`, "", shape.description ?? "", "", ...table].join("\n"), ...inner];
}

const listOf = (shape: Shape): Shape | undefined =>
  shape.type === "array" ? shape : shape.anyOf?.find((choice) => choice.type === "array");

const escape = (text: string): string => text.replaceAll("|", "\\|");

function row(key: string, shape: Shape, required: boolean): string {
  const item = shape.type === "array" ? shape.items : undefined;
  const more = item?.properties === undefined && item !== undefined ? item.description : undefined;
  const meaning = [shape.description, more].filter((text) => text !== undefined).join(" ");
  const preset = required ? "required" : defaultText(shape);
  return `| \`${key}\` | ${escape(valueText(shape))} | ${preset} | ${escape(meaning)} |`;
}

function defaultText(shape: Shape): string {
  if (shape.default === undefined) return "none";
  if (shape.properties !== undefined) return "as below";
  return `\`${typeof shape.default === "string" ? shape.default : JSON.stringify(shape.default)}\``;
}

function valueText(shape: Shape): string {
  if (shape.const !== undefined) return `\`${shape.const}\``;
  if (shape.anyOf !== undefined) return shape.anyOf.map(valueText).join(" or ");
  if (shape.enum !== undefined) return shape.enum.map((word) => `\`${String(word)}\``).join(", ");
  if (shape.properties !== undefined) return "mapping";
  if (shape.type === "array") return `list of ${plural(shape.items ?? {})}`;
  if (shape.type === "integer") return integerText(shape);
  if (shape.type === "boolean") return "`true` or `false`";
  return shape.hint ?? FORMAT_NAMES[shape.format ?? ""] ?? "text";
}

function plural(shape: Shape): string {
  if (shape.properties !== undefined) return "mappings";
  return PLURAL_FORMATS[shape.format ?? ""] ?? "texts";
}

function integerText(shape: Shape): string {
  const range = `${count(shape.minimum ?? 0)} to ${count(shape.maximum ?? 0)}`;
  return shape.powerOfTwo === true ? `power of two, ${range}` : `integer, ${range}`;
}

const FORMAT_NAMES: Readonly<Record<string, string>> = {
  ip: "IP address",
  service: "service",
  "check-target": "`vip`, `local`, `node` or IP address",
  "status-codes": "HTTP statuses",
};
const PLURAL_FORMATS: Readonly<Record<string, string>> = {
  ip: "IP addresses",
  service: "services",
};
