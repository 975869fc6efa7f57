// A17: loss, and how many keepalives an interval needs for it.
import assert from "node:assert/strict";
import { test } from "node:test";
import { keepalivesPerInterval, LossEstimate } from "./loss-estimate.ts";

test("A17: n is the smallest integer in 2..20 with n · Pⁿ < 1/3600", () => {
  const table: [loss: number, n: number][] = [
    [0, 2],
    [0.01, 2], // 2 · 0.0001 = 0.0002
    [0.012, 3], // 2 · 0.000144 = 0.000288, too much
    [0.045, 3],
    [0.05, 4], // 3 · 0.000125 = 0.000375, too much
    [0.1, 5],
    [0.2, 7],
    [0.5, 16],
    [0.6, 20],
    [1, 20],
  ];
  for (const [loss, n] of table) assert.equal(keepalivesPerInterval(loss), n, `loss ${loss}`);
});

test("A17: P moves by 1/128 towards the number lost in between", () => {
  const estimate = new LossEstimate();
  assert.equal(estimate.perInterval, 5, "pessimistic at first");
  estimate.received(10);
  assert.equal(estimate.loss, 0.1, "the first says nothing");
  estimate.received(11);
  assert.equal(estimate.loss, (0.1 * 127) / 128);
  estimate.received(14);
  assert.equal(estimate.loss, ((0.1 * 127) / 128) * (127 / 128) + 2 / 128);
});

test("A17: repeated and overtaken keepalives change nothing, and one long hole is not more than all", () => {
  const estimate = new LossEstimate();
  estimate.received(100);
  estimate.received(100);
  estimate.received(50);
  assert.equal(estimate.loss, 0.1);
  estimate.received(1_000_000);
  assert.equal(estimate.loss, 1);
  assert.equal(estimate.perInterval, 20);
});
