// The pages under docs/reference say what the code says.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { ERROR_CODES } from "#base/error-codes.ts";
import { configReference } from "./reference.ts";

const page = (name: string): string =>
  readFileSync(new URL(`../../docs/reference/${name}`, import.meta.url), "utf8");

test("docs/reference/config.md is current: write it with `pan config docs > docs/reference/config.md`", () => {
  assert.equal(page("config.md"), configReference());
});

test("docs/reference/errors.md has every code, in the list's order, with meaning, cause and remedy", () => {
  const sections = page("errors.md").split(/^## /m).slice(1);
  const codes = sections.map((section) => section.slice(0, section.indexOf("\n")).trim());
  assert.deepEqual(codes, Object.keys(ERROR_CODES));
  for (const [index, [code, meaning]] of Object.entries(ERROR_CODES).entries()) {
    const section = sections[index] ?? "";
    assert.ok(section.includes(meaning), `${code}: the meaning is not "${meaning}"`);
    assert.match(section, /^\*\*Cause:\*\* \S.{20,}/m, code);
    assert.match(section, /^\*\*Remedy:\*\* \S.{20,}/m, code);
  }
});
