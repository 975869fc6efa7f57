// A16: packets wait for the connection they belong to, within limits.
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { WaitingPackets } from "./waiting-packets.ts";

const packet = (value: number, length = 10): Uint8Array => new Uint8Array(length).fill(value);
const values = (packets: readonly Uint8Array[]): number[] => packets.map(([first = 0]) => first);

test("A16: what came while a connection was on its way is given out once, in order, to that connection alone", () => {
  const waiting = new WaitingPackets();
  waiting.keep(instant(1), "a", packet(1));
  waiting.keep(instant(2), "b", packet(2));
  waiting.keep(instant(3), "a", packet(3));
  assert.deepEqual(values(waiting.take(instant(4), "a")), [1, 3]);
  assert.deepEqual(values(waiting.take(instant(4), "a")), []);
  assert.deepEqual(values(waiting.take(instant(4), "b")), [2]);
  assert.equal(waiting.bytes, 0);
});

test("A16: a connection's first packets are kept when more come than may wait, and no byte beyond the limit of all", () => {
  const waiting = new WaitingPackets({ packets: 2, bytes: 50, ageMs: 100 });
  for (const value of [1, 2, 3]) waiting.keep(instant(value), "a", packet(value));
  waiting.keep(instant(4), "b", packet(4, 31));
  waiting.keep(instant(5), "b", packet(5, 30));
  assert.equal(waiting.bytes, 50);
  assert.deepEqual(values(waiting.take(instant(6), "a")), [1, 2]);
  assert.deepEqual(values(waiting.take(instant(6), "b")), [5]);
});

test("A16: what nobody has taken for a while is let go of", () => {
  const waiting = new WaitingPackets({ packets: 2, bytes: 50, ageMs: 100 });
  waiting.keep(instant(0), "a", packet(1));
  waiting.keep(instant(60), "b", packet(2));
  assert.deepEqual(values(waiting.take(instant(101), "a")), []);
  assert.deepEqual(values(waiting.take(instant(101), "b")), [2]);
  assert.equal(waiting.bytes, 0);
});
