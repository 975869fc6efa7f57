// From the text of a cluster file to a checked configuration, or to everything that is wrong with it.
import { PanError } from "#base/error-codes.ts";
import { fromRaw } from "./config.ts";
import { type Draft, type Finding, type Path, showPath } from "./findings.ts";
import { checkRules } from "./rules.ts";
import { type ClusterConfig, ClusterSchema, LIMITS, type RawConfig } from "./schema.ts";
import { checkShape } from "./shape.ts";
import { type Position, readYaml } from "./yaml-text.ts";

export interface ConfigProblem extends Position {
  readonly file: string;
  /** "groups[0].slots"; "the configuration" for the whole. */
  readonly path: string;
  /** What is wrong and what to write instead. */
  readonly message: string;
}

export type LoadedConfig =
  | { readonly ok: true; readonly config: ClusterConfig }
  | { readonly ok: false; readonly problems: readonly ConfigProblem[] };

type Checked =
  | { readonly ok: true; readonly raw: RawConfig }
  | { readonly ok: false; readonly findings: readonly Finding[] };

/** Ends a check that has found enough; never leaves this file. */
class Enough extends Error {}

/** Checks a value against schema and rules; where nothing is wrong, defaults are filled in. */
export function checkConfig(value: unknown): Checked {
  const findings: Finding[] = [];
  const report = (finding: Finding): void => {
    if (findings.length === LIMITS.problems) throw new Enough();
    findings.push(finding);
  };
  let raw: unknown;
  try {
    raw = checkShape(ClusterSchema, value, [], report);
    if (raw !== undefined) checkRules(raw as Draft<RawConfig>, report);
  } catch (error) {
    if (!(error instanceof Enough)) throw error;
    findings.push({
      path: [],
      message: `more than ${LIMITS.problems} problems; the rest is left out`,
    });
  }
  return findings.length === 0 ? { ok: true, raw: raw as RawConfig } : { ok: false, findings };
}

/** Reads a configuration; every problem (the first 200) is reported at once, in the order of the file. */
export function loadConfig(text: string, fileName: string): LoadedConfig {
  if (text.length > LIMITS.fileCharacters) {
    const message = `${text.length} characters; at most ${LIMITS.fileCharacters} are allowed`;
    const path = showPath([]);
    return { ok: false, problems: [{ file: fileName, line: 1, column: 1, path, message }] };
  }
  const yaml = readYaml(text);
  if (yaml.faults.length > 0) {
    const problems = yaml.faults.map((fault) => ({ file: fileName, path: "YAML", ...fault }));
    return { ok: false, problems };
  }
  const checked = checkConfig(yaml.value);
  if (checked.ok) return { ok: true, config: fromRaw(checked.raw) };
  const problems = checked.findings.map((finding) => ({
    file: fileName,
    ...yaml.positionOf(finding),
    path: showPath(finding.path),
    message: messageOf(finding, (path) => `line ${yaml.positionOf({ path }).line}`),
  }));
  return { ok: false, problems: problems.sort((a, b) => a.line - b.line || a.column - b.column) };
}

/** The message, with the other place where two contradict each other. */
export function messageOf(finding: Finding, place: (path: Path) => string): string {
  return finding.earlier === undefined
    ? finding.message
    : `${finding.message} (first in ${place(finding.earlier)})`;
}

/** "cluster.yaml:3:7: nodes[0].id: …", as editors and terminals can follow it. */
export const formatProblem = (problem: ConfigProblem): string =>
  `${problem.file}:${problem.line}:${problem.column}: ${problem.path}: ${problem.message}`;

/** The configuration, or PAN_CONFIG_INVALID with every problem on its own line. */
export function requireConfig(text: string, fileName: string): ClusterConfig {
  const loaded = loadConfig(text, fileName);
  if (loaded.ok) return loaded.config;
  const count = loaded.problems.length;
  const head = `${fileName} has ${count === 1 ? "a problem" : `${count} problems`}:`;
  throw new PanError(
    "PAN_CONFIG_INVALID",
    [head, ...loaded.problems.map((problem) => `  ${formatProblem(problem)}`)].join("\n"),
  );
}
