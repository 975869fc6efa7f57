// 32-bit numbers that wrap round: examples at the wrap, and properties.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { advance, distance, isLater, later, offsetOf } from "./sequence.ts";

const u32 = fc.integer({ min: 0, max: 2 ** 32 - 1 });

test("RFC 9293 3.4: numbers are compared round the wrap", () => {
  assert.equal(distance(0xffff_fff0, 0x10), 0x20);
  assert.equal(distance(0x10, 0xffff_fff0), -0x20);
  assert.equal(advance(0xffff_ffff, 2), 1);
  assert.equal(advance(1, -2), 0xffff_ffff);
  assert.ok(isLater(1, 0xffff_ffff) && !isLater(0xffff_ffff, 1) && !isLater(7, 7));
  assert.equal(later(1, 0xffff_ffff), 1);
});

test("RFC 9293 3.4: whoever advances by less than 2^31 is that far away", () => {
  const step = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(u32, step, (start, by) => {
      assert.equal(distance(start, advance(start, by)), by);
    }),
  );
});

test("A16: an offset beyond 4 GiB is known from 32 bits and a near one", () => {
  const offset = fc.integer({ min: 2 ** 31, max: 2 ** 45 });
  const away = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
  fc.assert(
    fc.property(u32, offset, away, (base, near, by) => {
      assert.equal(offsetOf(advance(base, near + by), base, near), near + by);
    }),
  );
});
