// The YAML side of the configuration: text to values, and paths in the values back to line and column.
import {
  type Document,
  isAlias,
  isMap,
  isNode,
  isScalar,
  isSeq,
  LineCounter,
  type Node,
  type Pair,
  parseDocument,
} from "yaml";
import type { Finding, Path } from "./findings.ts";

export interface Position {
  /** Both count from 1. */
  readonly line: number;
  readonly column: number;
}

export interface YamlText {
  readonly document: Document;
  readonly value: unknown;
  /** Where the text itself is not YAML. */
  readonly faults: readonly (Position & { readonly message: string })[];
  readonly positionOf: (finding: Pick<Finding, "path" | "atKey">) => Position;
}

/** Reads one YAML document. Never throws: what is wrong is in `faults`. */
export function readYaml(text: string): YamlText {
  const lines = new LineCounter();
  const document = parseDocument(text, { lineCounter: lines, prettyErrors: false });
  const at = (offset: number): Position => {
    const { line, col } = lines.linePos(offset);
    return { line: Math.max(line, 1), column: Math.max(col, 1) };
  };
  const faults = [...document.errors, ...document.warnings].map((fault) => ({
    ...at(fault.pos[0]),
    message: fault.message.replaceAll(/\s+/g, " "),
  }));
  let value: unknown;
  try {
    value = faults.length === 0 ? document.toJS({ maxAliasCount: 100 }) : undefined;
  } catch (error) {
    faults.push({ line: 1, column: 1, message: `cannot be resolved: ${(error as Error).message}` });
  }
  const positionOf = (finding: Pick<Finding, "path" | "atKey">): Position =>
    at(offsetOf(document, finding.path, finding.atKey === true));
  return { document, value, faults, positionOf };
}

const keyText = (pair: Pair): string => String(isScalar(pair.key) ? pair.key.value : pair.key);

const startOf = (node: unknown): number | undefined => (isNode(node) ? node.range?.[0] : undefined);

/** The deepest part of the path that the text contains; a default stands nowhere. */
function offsetOf(document: Document, path: Path, atKey: boolean): number {
  let node: Node | undefined = document.contents as Node | undefined;
  let offset = startOf(node) ?? 0;
  for (const [depth, part] of path.entries()) {
    if (isAlias(node)) node = node.resolve(document);
    const pair = isMap(node) ? node.items.find((item) => keyText(item) === part) : undefined;
    const next = isSeq(node) && typeof part === "number" ? node.items[part] : pair?.value;
    if (next === undefined && pair === undefined) return offset;
    const wantsKey = pair !== undefined && atKey && depth === path.length - 1;
    offset = (wantsKey ? startOf(pair.key) : startOf(next)) ?? startOf(pair?.key) ?? offset;
    node = isNode(next) ? next : undefined;
  }
  return offset;
}
