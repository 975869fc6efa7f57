// House rules that a compiler cannot know (CONTRIBUTING.md). No exceptions list: split instead.
import assert from "node:assert/strict";
import { globSync, readFileSync } from "node:fs";
import path from "node:path";
import { test } from "node:test";
import { root } from "./steps.ts";

const LONGEST_FILE = 500;
const LONGEST_FUNCTION = 70;
const ROLE_NAMES = /(^|[-/])(utils?|helpers?|manager|misc|common|data|info)\.(ts|c|h)$/;
const REGISTRY_HOST = new RegExp(["npm", "js\\.org|deb", "ian\\.org/"].join(""));

const sources = globSync(["{src,tools,bench,test,fuzz}/**/*.ts", "bpf/**/*.{c,h}"], { cwd: root })
  .filter((file) => !file.includes(".gen."))
  .sort();
const read = (file: string): string => readFileSync(path.join(root, file), "utf8");

test(`tidy: no source file is longer than ${LONGEST_FILE} lines`, () => {
  const long = sources.filter((file) => read(file).split("\n").length > LONGEST_FILE + 1);
  assert.deepEqual(long, []);
});

/** Starts of function-like blocks in our formatting: the closing brace stands in the same column. */
function longFunctions(file: string): string[] {
  const lines = read(file).split("\n");
  const opens =
    /^( *)(?:(?:export )?(?:default )?(?:async )?function\b|(?:export )?const \w+ = .*=>|(?:static |async |get |set |override )*[#\w]+\(.*\).*|static .*|__noinline .*|int \w+\()[^;]*\{$/;
  const found: string[] = [];
  lines.forEach((line, start) => {
    const indent = opens.exec(line)?.[1];
    if (indent === undefined || /^ *(if|for|while|switch|test|describe|it)\b/.test(line)) return;
    const length = lines.slice(start).findIndex((later) => later.startsWith(`${indent}}`)) + 1;
    if (length > LONGEST_FUNCTION) found.push(`${file}:${start + 1} has ${length} lines`);
  });
  return found;
}

test(`tidy: no function is longer than ${LONGEST_FUNCTION} lines`, () => {
  assert.deepEqual(sources.flatMap(longFunctions), []);
});

test("tidy: files are named after a thing, not after a role", () => {
  assert.deepEqual(
    sources.filter((file) => ROLE_NAMES.test(file)),
    [],
  );
});

test("tidy: a source file opens with what it is for, and keeps TODO reasons", () => {
  const wrong = sources.filter((file) => {
    const text = read(file);
    return (
      !/^(\/\/|\/\*|#!)/.test(text) ||
      /\b(FIXME|XXX|TODO(?!\())/.test(text.replaceAll("TODO(?!", ""))
    );
  });
  assert.deepEqual(
    wrong.filter((file) => file !== "tools/tidy.test.ts"),
    [],
  );
});

test("tidy: nothing committed names a package registry or a path of one machine", () => {
  const all = globSync("**/*", {
    cwd: root,
    exclude: (name) => ["node_modules", ".git", ".cache", "dist"].includes(path.basename(name)),
  });
  const text = /\.(ts|mjs|json|md|c|h|yaml|yml|service|sh|txt)$|run$/;
  const wrong = all.filter(
    (file) =>
      text.test(file) && (REGISTRY_HOST.test(read(file)) || /\/work\/(?!.*:)/.test(read(file))),
  );
  assert.deepEqual(wrong, []);
});
