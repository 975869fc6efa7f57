// B11: what one source gets of the answers that a node gives.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip, ipBytes } from "#base/address.ts";
import { instant } from "#base/time.ts";
import { ANSWERS_PER_SOURCE, MAX_SOURCES, SourceLimits } from "./source-limits.ts";

const bytes = (address: string): Uint8Array => ipBytes(ip(address));
const nth = (index: number): Uint8Array => Uint8Array.of(10, 1, index >> 8, index & 0xff);

/** Answers of so many that a source asks for. */
function given(limits: SourceLimits, now: number, source: Uint8Array, asked: number): number {
  let count = 0;
  for (let each = 0; each < asked; each++) if (limits.take(instant(now), source)) count += 1;
  return count;
}

test("B11: a source gets so many answers a second, whatever others ask for", () => {
  const limits = new SourceLimits();
  const asked = 5 * ANSWERS_PER_SOURCE;
  assert.equal(given(limits, 0, bytes("192.0.2.1"), asked), ANSWERS_PER_SOURCE);
  assert.equal(given(limits, 0, bytes("192.0.2.2"), 1), 1);
  assert.equal(given(limits, 100, bytes("192.0.2.1"), asked), ANSWERS_PER_SOURCE / 10);
});

test("B11: of IPv6 a network of 64 bits is one source", () => {
  const limits = new SourceLimits();
  assert.equal(given(limits, 0, bytes("2001:db8::1"), ANSWERS_PER_SOURCE), ANSWERS_PER_SOURCE);
  assert.equal(given(limits, 0, bytes("2001:db8::2"), 1), 0);
  assert.equal(given(limits, 0, bytes("2001:db8:0:1::1"), 1), 1);
});

test("B11: there is a limit for sources; who was answered longest ago makes room", () => {
  const limits = new SourceLimits();
  for (const source of [nth(0), nth(1)]) given(limits, 0, source, ANSWERS_PER_SOURCE);
  for (let index = 2; index < MAX_SOURCES; index++) given(limits, 0, nth(index), 1);
  assert.equal(given(limits, 0, nth(0), 1), 0, "still known, and from now on the latest");
  given(limits, 0, nth(MAX_SOURCES), 1);
  assert.equal(limits.size, MAX_SOURCES);
  assert.equal(given(limits, 0, nth(0), 1), 0);
  assert.equal(given(limits, 0, nth(1), 1), 1, "forgotten");
});
