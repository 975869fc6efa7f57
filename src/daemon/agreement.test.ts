// Waiting for members to hold an operator's change.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { Agreement } from "./agreement.ts";

const [A, B] = [nodeId(1), nodeId(2)] as const;
const version = (counter: number, digest = "00"): { counter: number; digest: string } => ({
  counter,
  digest,
});
const LONG_MS = 60_000;

test("B8: every member that is connected has to say that it holds the change", async () => {
  const agreement = new Agreement();
  let reached = false;
  const all = agreement.reached(version(5), [A, B], LONG_MS).then((missing) => {
    reached = true;
    return missing;
  });
  agreement.holds(A, version(5));
  agreement.holds(B, version(4));
  agreement.holds(B, version(5, "ff"));
  await Promise.resolve();
  assert.equal(reached, false, "an older one, or another of that number, does not count");
  agreement.holds(B, version(6));
  assert.deepEqual(await all, []);
});

test("B8: who has gone is not waited for; who is silent is named in the end", async () => {
  const agreement = new Agreement();
  const gone = agreement.reached(version(5), [A], LONG_MS);
  agreement.gone(A);
  assert.deepEqual(await gone, []);
  const silent = agreement.reached(version(5), [A, B], 1);
  agreement.holds(A, version(5));
  assert.deepEqual(await silent, [B]);
  assert.deepEqual(await agreement.reached(version(5), [], LONG_MS), []);
});

test("B8: only so many changes wait at once; the next one is answered at once, with who is missing", async () => {
  const agreement = new Agreement();
  const waiting = Array.from({ length: 256 }, () => agreement.reached(version(5), [A], LONG_MS));
  assert.deepEqual(await agreement.reached(version(5), [A], LONG_MS), [A]);
  agreement.holds(A, version(5));
  for (const missing of await Promise.all(waiting)) assert.deepEqual(missing, []);
});
