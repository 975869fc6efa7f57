// A9, A12: when silence means death.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { Silence } from "./silence.ts";

const at = instant;

test("A12: seven probes from 60 % of the interval on, death at its end", () => {
  const silence = new Silence(200, at(1000));
  const seen: [number, string][] = [];
  for (let ms = 1000; ms <= 1200; ms++) {
    const verdict = silence.check(at(ms));
    if (verdict !== "waiting") seen.push([ms - 1000, verdict]);
  }
  assert.deepEqual(seen, [
    [120, "probe"],
    [132, "probe"],
    [144, "probe"],
    [156, "probe"],
    [168, "probe"],
    [180, "probe"],
    [190, "probe"],
    [200, "expired"],
  ]);
});

test("A12: silence is counted from the arrival, not from when the message was read", () => {
  const silence = new Silence(200, at(1000));
  silence.heard(at(1100));
  assert.equal(silence.check(at(1299)), "probe");
  assert.equal(silence.check(at(1300)), "expired");
});

test("A12: an older arrival does not shorten the silence's end", () => {
  const silence = new Silence(200, at(1000));
  silence.heard(at(1100));
  silence.heard(at(1050));
  assert.equal(silence.deadline, at(1220));
});

test("A12: after a stall of our own the peer is probed first, once in a silence", () => {
  const silence = new Silence(200, at(1000));
  silence.excuse(at(1100));
  assert.equal(silence.deadline, at(1120), "not silent long enough to need an excuse");
  silence.excuse(at(1500));
  assert.equal(silence.check(at(1500)), "probe");
  assert.equal(silence.check(at(1579)), "probe");
  silence.excuse(at(1580));
  assert.equal(silence.check(at(1580)), "expired");
});

test("A9, A13: a closed port gives the silence its cause, and does not shorten it", () => {
  const silence = new Silence(200, at(1000));
  silence.refused(at(1119));
  assert.equal(silence.cause, "silent", "it was heard just before");
  silence.refused(at(1120));
  assert.equal(silence.check(at(1199)), "probe");
  assert.equal(silence.check(at(1200)), "expired");
  assert.equal(silence.cause, "agent-down");
  silence.heard(at(1200));
  assert.equal(silence.cause, "silent", "it has said something since");
});

test("A12: doubt begins at half the interval", () => {
  const silence = new Silence(200, at(1000));
  assert.equal(silence.isDoubtful(at(1100)), false);
  assert.equal(silence.isDoubtful(at(1101)), true);
  assert.equal(silence.isProbing(at(1119)), false);
  assert.equal(silence.isProbing(at(1120)), true);
});
