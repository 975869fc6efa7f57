// Writes a configuration as YAML. Where there is an original, only what differs is changed in it, so
// that an operator's comments, order and spelling outlive the commands that edit the file. Spaces may
// be set anew, as in `[ a, b ]`.
import { Document, isMap, isScalar, isSeq, type YAMLMap, type YAMLSeq } from "yaml";
import { parseIp } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { serialText } from "#base/serial-number.ts";
import { canonicalConfig, toRaw } from "./config.ts";
import { loadConfig, requireConfig } from "./load.ts";
import type { ClusterConfig } from "./schema.ts";
import { formatService, parseService } from "./service.ts";
import { readYaml } from "./yaml-text.ts";

const HEADER =
  " The cluster, as all its nodes see it. `pan config docs` explains every key;\n" +
  " `pan config check` checks this file.";

/**
 * YAML text of the configuration; with `original`, that text with the changes made in it.
 * PAN_CONFIG_INVALID when the original is not a configuration itself, PAN_CONFLICT when
 * a change would not read back as intended (YAML anchors).
 */
export function renderConfig(config: ClusterConfig, original?: string): string {
  if (original === undefined) return renderNew(config);
  const before = requireConfig(original, "the present configuration");
  const { document } = readYaml(original);
  if (!isMap(document.contents)) return renderNew(config);
  mergeMap(document, document.contents, toRaw(before), toRaw(config));
  const text = document.toString({ lineWidth: 0 });
  const after = loadConfig(text, "the changed configuration");
  if (after.ok && canonicalConfig(after.config) === canonicalConfig(config)) return text;
  throw new PanError(
    "PAN_CONFLICT",
    "The file cannot be changed in place, probably because of YAML anchors; write them out, then repeat.",
  );
}

function renderNew(config: ClusterConfig): string {
  const document = new Document(toRaw(config));
  document.commentBefore = HEADER;
  return document.toString({ lineWidth: 0 });
}

type Plain = Readonly<Record<string, unknown>>;

const isPlain = (value: unknown): value is Plain =>
  typeof value === "object" && value !== null && !Array.isArray(value);

const same = (a: unknown, b: unknown): boolean => JSON.stringify(a) === JSON.stringify(b);

/** Sets what differs between before and after; what was a default and still is stays unwritten. */
function mergeMap(document: Document, map: YAMLMap, before: Plain, after: Plain): void {
  for (const key of Object.keys(before)) if (after[key] === undefined) map.delete(key);
  for (const [key, value] of Object.entries(after)) {
    if (value === undefined || same(before[key], value)) continue;
    const present = map.get(key, true) as unknown;
    if (isMap(present) && isPlain(value)) {
      mergeMap(document, present, before[key] as Plain, value);
    } else if (isSeq(present) && Array.isArray(value)) {
      mergeSeq(document, present, before[key] as readonly unknown[], value);
    } else if (isScalar(present) && !isPlain(value) && !Array.isArray(value)) {
      present.value = value; // keeps the comment behind it
    } else map.set(key, document.createNode(withoutNothing(value)));
  }
}

/** Entries are the same when they have the same name, are about the same virtual address, or mean the same text. */
function identity(entry: unknown): string {
  if (isPlain(entry)) return `name ${String(entry["name"] ?? entry["vip"])}`;
  const text = String(entry);
  const service = parseService(text);
  if (service.ok) return formatService(service.service);
  return parseIp(text) ?? serialText(text);
}

function mergeSeq(
  document: Document,
  seq: YAMLSeq,
  before: readonly unknown[],
  after: readonly unknown[],
): void {
  const wanted = new Map(after.map((entry) => [identity(entry), entry]));
  const had = new Map(before.map((entry, index) => [identity(entry), index]));
  for (const [key, index] of had) {
    const node = seq.items[index];
    const value = wanted.get(key);
    if (isMap(node) && isPlain(value)) mergeMap(document, node, before[index] as Plain, value);
  }
  const items = [...seq.items];
  // in the order in which they are wanted: in some lists it is the meaning
  seq.items = [...wanted].map(([key, value]) => {
    const kept = items[had.get(key) ?? -1];
    return kept ?? document.createNode(withoutNothing(value), { flow: isPlain(value) });
  });
  if (seq.items.length > 0 && before.length === 0) seq.flow = false;
}

const withoutNothing = (value: unknown): unknown => JSON.parse(JSON.stringify(value));
