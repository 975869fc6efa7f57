// A2: which keys of the past and of the future are accepted.
import assert from "node:assert/strict";
import { test } from "node:test";
import { KeyRing } from "./key-ring.ts";

const BYTES = Uint8Array.of(1, 2, 3);
const keyOf = (keyId: number): Uint8Array => new Uint8Array(32).fill(keyId);

/** Which of the keys 1..4 still convince the ring. */
function accepted(ring: KeyRing): number[] {
  return [1, 2, 3, 4].filter((keyId) => {
    const other = new KeyRing();
    other.install(keyId, keyOf(keyId), true);
    const tag = other.tag(keyId, BYTES);
    return tag !== undefined && ring.check(keyId, BYTES, tag) === "good";
  });
}

test("A2: the key before the present one is accepted, older ones are not", () => {
  const ring = new KeyRing();
  for (const keyId of [1, 2, 3]) ring.install(keyId, keyOf(keyId), true);
  assert.deepEqual(accepted(ring), [2, 3]);
});

test("A2: the key in use stays while the next ones are handed round", () => {
  const ring = new KeyRing();
  for (const keyId of [1, 2, 3]) ring.install(keyId, keyOf(keyId), false);
  assert.equal(ring.active, 1);
  assert.deepEqual(accepted(ring), [1, 3]);
});

test("A2: a revocation leaves the newest key alone, which is sent with from then on", () => {
  const ring = new KeyRing();
  ring.install(1, keyOf(1), true);
  ring.install(2, keyOf(2), false);
  ring.retire();
  assert.deepEqual(accepted(ring), [2]);
  assert.equal(ring.active, 2);
  ring.follow(1);
  assert.equal(ring.active, 2, "a keepalive under the old key takes nobody back");
});

test("A2: nothing is retired where no key is", () => {
  const ring = new KeyRing();
  ring.retire();
  assert.equal(ring.active, undefined);
});
