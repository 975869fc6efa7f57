// What the documents say must exist: requirements, files, tests, links, symbols of the walks, reasons and codes.
import assert from "node:assert/strict";
import { existsSync, globSync, readFileSync, statSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { REASONS } from "#core/steering/reasons.ts";
import { EXIT_REASONS, REFUSAL_REASONS } from "#wire/cluster/message.ts";
import { root } from "./steps.ts";

const read = (file: string): string => readFileSync(path.join(root, file), "utf8");
const exists = (file: string): boolean => existsSync(path.join(root, file));
const documents = [
  "README.md",
  "CONTRIBUTING.md",
  ...globSync("docs/**/*.md", { cwd: root }),
].sort();
/** Without what is quoted in fences, where "[x](y)" is no link. */
const prose = (file: string): string => read(file).replaceAll(/^```[\s\S]*?^```$/gm, "");

interface Feature {
  readonly id: string;
  readonly state: string;
  readonly tests: readonly { readonly file: string; readonly name: string }[];
  readonly code: readonly string[];
}

const items = (cell: string): string[] => (cell === "–" ? [] : cell.split("<br>"));

function readFeatures(): Feature[] {
  return read("docs/features.md")
    .split("\n")
    .filter((line) => /^\| [A-D]\d+ \|/.test(line))
    .map((line) => {
      const [, id = "", , state = "", tests = "", code = ""] = line
        .split("|")
        .map((cell) => cell.trim());
      return {
        id,
        state,
        tests: items(tests).map((item) => {
          const [, file = "", name = ""] = /^`(\S+)`: (.+)$/.exec(item) ?? [];
          assert.ok(name, `${id}: write tests as \`file\`: name, not ${item}`);
          return { file, name };
        }),
        code: items(code).map((item) => item.replaceAll("`", "")),
      };
    });
}

const features = readFeatures();

test("features: every requirement is listed once, in order", () => {
  const part = (letter: string, count: number): string[] =>
    Array.from({ length: count }, (_, index) => `${letter}${index + 1}`);
  const all = [...part("A", 22), ...part("B", 14), ...part("C", 18), ...part("D", 27)];
  assert.deepEqual(
    features.map(({ id }) => id),
    all,
  );
});

test("features: a state is done, partly with what is missing, or not yet; what works names test and code", () => {
  const wrong = features.filter(({ state, tests, code }) => {
    if (state === "not yet") return tests.length + code.length > 0;
    return !/^(done|partly: .+)$/.test(state) || tests.length === 0 || code.length === 0;
  });
  assert.deepEqual(wrong, []);
});

test("features: files and tests exist", () => {
  const missing: string[] = [];
  for (const { id, tests, code } of features) {
    for (const file of code) if (!exists(file)) missing.push(`${id}: ${file}`);
    for (const { file, name } of tests) {
      if (!exists(file)) missing.push(`${id}: ${file}`);
      else if (!read(file).includes(name)) missing.push(`${id}: ${file} has no test "${name}"`);
    }
  }
  assert.deepEqual(missing, []);
});

/** Anchors as GitHub makes them of headings. */
function anchorsOf(file: string): Set<string> {
  const headings = [...prose(file).matchAll(/^#+ (.*)$/gm)].map(([, heading = ""]) => heading);
  return new Set(
    headings.map((heading) =>
      heading
        .toLowerCase()
        .replaceAll(/[^\p{L}\p{N} _-]/gu, "")
        .replaceAll(" ", "-"),
    ),
  );
}

function brokenLinks(file: string): string[] {
  const links = [...prose(file).matchAll(/\]\(([^)\s]+)\)/g)].map(([, link = ""]) => link);
  return links
    .filter((link) => !/^[a-z]+:/.test(link))
    .filter((link) => {
      const [relative = "", anchor] = link.split("#", 2);
      const target = relative === "" ? file : path.join(path.dirname(file), relative);
      if (!exists(target)) return true;
      if (anchor === undefined) return false;
      return statSync(path.join(root, target)).isDirectory() || !anchorsOf(target).has(anchor);
    })
    .map((link) => `${file}: ${link}`);
}

test("documents: every relative link leads somewhere", () => {
  assert.deepEqual(documents.flatMap(brokenLinks), []);
});

/** Whether the file declares the symbol, or has it as the name of an effect or message. */
function declares(file: string, symbol: string): boolean {
  const text = read(file);
  const before = file.endsWith(".ts")
    ? "(?:export |async |static |readonly |get |set |function |class |const |interface |type )*#?"
    : "(?:\\w+ +)*\\*?";
  return (
    new RegExp(`^ *${before}${symbol}\\b(?!\\.)`, "m").test(text) || text.includes(`"${symbol}"`)
  );
}

test("walks: every file exists, and every symbol is in its file", () => {
  const wrong: string[] = [];
  for (const walk of documents.filter((file) => file.startsWith("docs/walks/"))) {
    const cited = read(walk).matchAll(/`((?:src|bpf|test)\/[\w./-]+\.(?:ts|c|h))(?::([\w-]+))?`/g);
    for (const [, file = "", symbol] of cited) {
      if (!exists(file)) wrong.push(`${walk}: ${file}`);
      else if (symbol !== undefined && !declares(file, symbol)) {
        wrong.push(`${walk}: ${file} has no ${symbol}`);
      }
    }
  }
  assert.deepEqual(wrong, []);
});

/** The literals of a union type, by its declaration. */
function literalsOf(file: string, type: string): string[] {
  const [, body = ""] =
    new RegExp(`^export type ${type} =([\\s\\S]*?);(?: *//.*)?$`, "m").exec(read(file)) ?? [];
  const found = [...body.replaceAll(/\/\/.*$/gm, "").matchAll(/"([\w-]+)"/g)].map(
    ([, text = ""]) => text,
  );
  assert.ok(found.length > 0, `${file} declares no union ${type}`);
  return found;
}

test("troubleshooting: every reason that an operator can see is explained", () => {
  const page = read("docs/howto/troubleshooting.md");
  const heartDrops = [...read("src/daemon/heart-loop.ts").matchAll(/dropped\("([\w-]+)"\)/g)];
  const reasons = [
    ...REASONS,
    ...REFUSAL_REASONS,
    ...EXIT_REASONS,
    ...literalsOf("src/driver/cluster/auth.ts", "DropReason").filter((reason) => reason !== "own"),
    ...literalsOf("src/wire/decoded.ts", "DecodeFailure"),
    ...literalsOf("src/core/membership/protocol.ts", "Ignored"),
    ...literalsOf("src/core/membership/types.ts", "Departure"),
    ...heartDrops.map(([, reason = ""]) => reason),
  ];
  const rows = page.split("\n").filter((line) => line.startsWith("| `"));
  const explained = new Set(rows.map((line) => /^\| `([^`]+)` \|/.exec(line)?.[1]));
  assert.deepEqual(
    reasons.filter((reason) => !explained.has(reason)),
    [],
  );
});
