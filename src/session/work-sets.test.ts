// A8, A16: to whom a session goes when its work set moves.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { WorkSets } from "./work-sets.ts";

const SELF = nodeId(1);
const OTHER = nodeId(2);
const place = (slot: number) => ({ group: "web", slot });

test("A16: what the snapshot says is this node's, and nothing that was said before it", () => {
  const sets = new WorkSets(SELF);
  sets.set("web", "0-9", SELF);
  sets.begin([{ group: "web", slots: "5-6" }]);
  assert.deepEqual(
    [4, 5, 6, 7].map((slot) => sets.isMine(place(slot))),
    [false, true, true, false],
  );
  assert.equal(sets.isMine({ group: "other", slot: 5 }), false);
  assert.equal(sets.isMine(undefined), false);
});

test("A8: a work set that was lost has another owner once it is known, and none when it comes back", () => {
  const sets = new WorkSets(SELF);
  sets.begin([{ group: "web", slots: "0-9" }]);
  sets.set("web", "3", undefined);
  assert.deepEqual([sets.isMine(place(3)), sets.otherOwner(place(3))], [false, undefined]);
  sets.set("web", "3", OTHER);
  assert.equal(sets.otherOwner(place(3)), OTHER);
  assert.equal(sets.otherOwner(place(4)), undefined, "it is this node's own");
  sets.set("web", "3", SELF);
  assert.deepEqual([sets.isMine(place(3)), sets.otherOwner(place(3))], [true, undefined]);
});
