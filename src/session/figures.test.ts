// A16: what an operator is told about how well sessions are protected.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { Following, Samples } from "./figures.ts";

const A = nodeId(2);
const B = nodeId(3);

test("A16: quantiles are of the last thousand; none while nothing was measured", () => {
  const samples = new Samples();
  assert.equal(samples.quantile(0.5), undefined);
  samples.add(5);
  assert.deepEqual([samples.quantile(0.5), samples.quantile(1)], [5, 5]);
  for (let value = 1; value <= 2000; value++) samples.add(value);
  assert.deepEqual(
    [samples.quantile(0), samples.quantile(0.5), samples.quantile(0.99), samples.quantile(1)],
    [1001, 1500, 1990, 2000],
  );
});

test("A16: latency is from a message to the acknowledgement that covers it; lag is the oldest without one", () => {
  const following = new Following();
  const at = (ms: number) => () => instant(ms);
  assert.equal(following.lagMs(instant(50)), 0);
  following.sent(A, at(100));
  following.sent(A, at(101));
  following.sent(B, at(102));
  assert.equal(following.lagMs(instant(110)), 10);
  following.acknowledged(A, 2, instant(103));
  assert.equal(following.latencies.quantile(1), 3);
  assert.equal(following.lagMs(instant(110)), 8);
  following.sent(A, at(120));
  following.acknowledged(A, 2, instant(125));
  assert.equal(following.lagMs(instant(130)), 28, "that acknowledged only what was before");
  following.gone(B);
  assert.equal(following.lagMs(instant(130)), 10);
  following.gone(A);
  following.sent(A, at(200));
  following.acknowledged(A, 1, instant(201));
  assert.equal(following.lagMs(instant(300)), 0, "a new stream counts from its first message");
});
