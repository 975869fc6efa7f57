// A16: who holds a connection: as many as are wanted, evenly, and no more of them change than must.
import assert from "node:assert/strict";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { type NodeId, nodeId } from "#base/ids.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { byPreference, chooseReplicas } from "./replica-choice.ts";

const members = (count: number): NodeId[] =>
  Array.from({ length: count }, (_, index) => nodeId(index + 1));
const CONNECTIONS = 4000;
const keys: readonly ConnectionKey[] = Array.from({ length: CONNECTIONS }, (_, index) => ({
  ...{ vip: index % 2 === 0 ? ip("10.0.0.100") : ip("2001:db8::100"), port: 80 },
  peer: index % 2 === 0 ? ip("192.0.2.7") : ip("2001:db8:1::7"),
  peerPort: 1024 + index,
}));

test("A16: k of the members that are there, all of them where that is said or there are fewer", () => {
  const [key] = keys;
  assert.ok(key !== undefined);
  for (const [there, wanted, chosen] of [
    [0, 1, 0],
    [1, 1, 1],
    [3, 1, 1],
    [3, 2, 2],
    [3, 3, 3],
    [3, 9, 3],
    [3, "all", 3],
    [0, "all", 0],
  ] as const) {
    assert.equal(chooseReplicas(key, members(there), wanted).size, chosen);
  }
});

test("A16: the choice depends on no order in which members are known", () => {
  for (const key of keys.slice(0, 50)) {
    assert.deepEqual(byPreference(key, members(6).toReversed()), byPreference(key, members(6)));
  }
});

test("A16: every member holds about as much as every other, at first and after one is gone", () => {
  for (const there of [members(3), members(8), members(8).slice(1)]) {
    for (const wanted of [1, 2]) {
      const held = new Map<NodeId, number>();
      for (const key of keys) {
        for (const id of chooseReplicas(key, there, wanted)) held.set(id, (held.get(id) ?? 0) + 1);
      }
      const fair = (CONNECTIONS * wanted) / there.length;
      for (const id of there) {
        const share = (held.get(id) ?? 0) / fair;
        assert.ok(
          Math.abs(share - 1) < 0.15,
          `${id} of ${there.length} holds ${share} of its part`,
        );
      }
    }
  }
});

test("A16: who leaves or joins changes what it holds itself, and nothing between others", () => {
  let moved = 0;
  for (const key of keys) {
    const without = chooseReplicas(key, members(4), 2);
    const joined = chooseReplicas(key, members(5), 2);
    const isNew = joined.has(nodeId(5));
    moved += isNew ? 1 : 0;
    const kept = [...without].filter((id) => joined.has(id));
    assert.equal(kept.length, isNew ? 1 : 2);
  }
  const part = moved / CONNECTIONS;
  assert.ok(Math.abs(part - 2 / 5) < 0.05, `${part} of the connections`);
});
