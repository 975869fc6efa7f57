// The pages of the command line and the API say what the program says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { CONTRACT } from "#api/contract.ts";
import { apiReference } from "#api/reference.ts";
import { cliReference } from "./reference.ts";

const page = (name: string): string =>
  readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), "utf8");

test("docs/reference/cli.md is current: write it with `node tools/reference.ts`", async () => {
  assert.equal(page("cli.md"), await cliReference());
});

test("docs/reference/api.md is current: write it with `node tools/reference.ts`", () => {
  assert.equal(page("api.md"), apiReference());
});

test("docs/reference/cli.md: every command has a page of its own, with an example", () => {
  const sections = page("cli.md").split(/^## /m).slice(1);
  const names = sections.map((section) => section.slice(0, section.indexOf("\n")));
  for (const name of ["pan", "pan status", "pan service add", "pan config apply", "pan agent"]) {
    assert.ok(names.includes(name), name);
  }
  assert.ok(!names.some((name) => name.includes("__complete")));
  const bare = sections.filter((section) => !/\nCommands:\n/.test(section));
  assert.deepEqual(
    bare.filter((section) => !section.includes("Examples:")),
    [],
  );
});

test("docs/reference/api.md: every operation and every field of the status is there", () => {
  const text = page("api.md");
  for (const { method, path } of Object.values(CONTRACT)) {
    assert.ok(text.includes(`### ${method} ${path}\n`), path);
  }
  for (const field of [
    "members[].lossEstimate?",
    "groups[].shares[].home",
    "failovers[].tookMs?",
  ]) {
    assert.ok(text.includes(`| \`${field}\` |`), field);
  }
});
