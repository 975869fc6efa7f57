// A16: timestamps never run backwards, however often and late a connection is told of.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { asOf } from "./clock.ts";
import { openedAs, progressOf } from "./testing/samples.ts";

test("A16: what is told again has the clock of that moment, over the wrap; what has none is told as it is", () => {
  const late = asOf(instant(1500.2), instant(1000), openedAs(1));
  assert.deepEqual(late.clock, { value: 5501, readAtMs: 1500.2 });
  assert.deepEqual(late.essential, openedAs(1).essential);
  const progress = progressOf(1, { outputOffset: 3, clock: { value: 0xffff_fff0, readAtMs: 1 } });
  assert.equal(asOf(instant(1032), instant(1000), progress).clock.value, 0x10);
  assert.equal(asOf(instant(900), instant(1000), progress).clock.value, 0xffff_fff0);
  const closed = { type: "closed", connection: 1 } as const;
  assert.equal(asOf(instant(1), instant(0), closed), closed);
});
