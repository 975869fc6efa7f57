// A10: the page of the protocol says what the code does.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { encodeLine, fromApplication } from "#wire/applications/codec.ts";
import { countSlots, parseSlots } from "#wire/applications/slot-ranges.ts";
import { applicationsReference, FROM_APPLICATION, TO_APPLICATION } from "./reference.ts";

test("docs/reference/applications.md is current: write it with `node tools/reference.ts`", () => {
  const page = new URL("../../docs/reference/applications.md", import.meta.url);
  assert.equal(readFileSync(page, "utf8"), applicationsReference());
});

test("A10: what the page says an application may send is understood as it stands", () => {
  for (const { example } of Object.values(FROM_APPLICATION)) {
    const understood = fromApplication(encodeLine(example).subarray(0, -1));
    assert.deepEqual(understood, { ok: true, message: example });
  }
});

test("A10: sets of slots on the page are sets of so many slots", () => {
  const seen: { readonly slots: string; readonly count: number }[] = [];
  for (const { example } of Object.values(TO_APPLICATION)) {
    if ("slots" in example) seen.push(example);
    else if (example.type === "snapshot") seen.push(...example.groups);
  }
  assert.equal(seen.length, 4);
  for (const { slots, count } of seen) {
    const ranges = parseSlots(slots);
    assert.ok(ranges);
    assert.equal(countSlots(ranges), count);
  }
});
