// The page of events says what the catalogue says, and the catalogue says everything that membership and tables can say.
import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { EVENTS } from "./event-catalogue.ts";
import { eventsReference } from "./event-reference.ts";

test("docs/reference/events.md is current: write it with `node tools/reference.ts`", () => {
  const page = new URL("../../docs/reference/events.md", import.meta.url);
  assert.equal(readFileSync(page, "utf8"), eventsReference());
});

test("events: no field has the name of what every event has", () => {
  for (const [type, { fields }] of Object.entries(EVENTS)) {
    for (const taken of ["seq", "at", "type", "cause"]) {
      assert.ok(!Object.hasOwn(fields, taken), `${type}.${taken}`);
    }
  }
});
