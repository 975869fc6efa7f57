// A3, A5: who comes first.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { outranks, prevails } from "./candidate.ts";

const low = ip("10.0.0.9");
const high = ip("10.0.0.10");
const config = (counter: number): { counter: number; digest: string } => ({
  counter,
  digest: "0000000000000000",
});

test("A3: of two candidates the newer configuration wins, then the lower address", () => {
  const old = { config: config(1), address: low };
  const young = { config: config(2), address: high };
  assert.equal(outranks(young, old), true);
  assert.equal(outranks(old, young), false);
  assert.equal(outranks(old, { config: config(1), address: high }), true);
  assert.equal(outranks({ config: config(1), address: high }, old), false);
});

test("A5: of two masters the one with more members wins, then the lower address", () => {
  assert.equal(prevails({ members: 3, address: high }, { members: 2, address: low }), true);
  assert.equal(prevails({ members: 2, address: high }, { members: 2, address: low }), false);
  assert.equal(prevails({ members: 2, address: low }, { members: 2, address: high }), true);
});
