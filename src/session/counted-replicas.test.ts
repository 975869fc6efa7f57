// A16, docs/adr/0034: a replica whose stream has ended without its doing is counted on for as long as it was promised, unless it is back before.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { CountedReplicas } from "./counted-replicas.ts";

const REPLICA = nodeId(2);
const LIMIT_MS = 1000;

function scene() {
  const released: number[] = [];
  const waits = new Map<number, () => void>();
  const time = { ms: 0 };
  const clock = {
    now: () => instant(time.ms),
    later: (ms: number, turn: () => void) => {
      const at = time.ms + ms;
      waits.set(at, turn);
      return () => void waits.delete(at);
    },
  };
  const counted = new CountedReplicas(clock, () => released.push(time.ms));
  counted.limitMs = LIMIT_MS;
  const run = (toMs: number): void => {
    for (const [at, turn] of [...waits]) {
      if (at > toMs) continue;
      waits.delete(at);
      time.ms = at;
      turn();
    }
    time.ms = toMs;
  };
  counted.streamBegan(REPLICA);
  run(100);
  assert.equal(counted.present(REPLICA), LIMIT_MS);
  run(400);
  return { counted, released, waits, run };
}

test("A16: without a stream it is counted on until the promise is over, or until it is no member any more", () => {
  const { counted, released, run } = scene();
  counted.streamEnded(REPLICA, false);
  run(5000);
  assert.deepEqual(released, [1100]);
  const other = scene();
  other.counted.streamEnded(REPLICA, false);
  other.run(500);
  other.counted.departed(REPLICA);
  other.run(5000);
  assert.deepEqual(other.released, [500]);
});

test("A16: one that has ended its stream itself is not waited for, and one that is back is not released", () => {
  const { counted, released, run } = scene();
  counted.streamEnded(REPLICA, true);
  assert.deepEqual(released, [400]);
  counted.streamBegan(REPLICA);
  counted.streamEnded(REPLICA, false);
  counted.streamBegan(REPLICA);
  run(5000);
  assert.deepEqual(released, [400]);
});

for (const when of ["before", "after"] as const) {
  test(`A16: nothing waits for a stream that ends ${when} everything is let go of`, () => {
    const { counted, released, waits, run } = scene();
    if (when === "before") counted.streamEnded(REPLICA, false);
    counted.close();
    if (when === "after") counted.streamEnded(REPLICA, false);
    assert.equal(waits.size, 0);
    run(5000);
    assert.deepEqual(released, []);
  });
}
