// How what was done to a host is taken back when a later step fails.
import assert from "node:assert/strict";
import { test } from "node:test";
import { orUndo, Undo } from "./undo.ts";

const refuse = (what: string) => (): never => {
  throw new Error(what);
};

test("B5: what was done is taken back newest first, and the caller hears why", () => {
  const undo = new Undo();
  const done: string[] = [];
  const failing = (): void => {
    for (const name of ["first", "second"]) undo.add(() => done.push(name));
    throw new Error("the third failed");
  };
  assert.throws(() => orUndo(undo, failing), /^Error: the third failed$/);
  assert.deepEqual(done, ["second", "first"]);
  undo.run();
  assert.equal(done.length, 2, "only once");
});

test("B5: a step that cannot be taken back does not keep the others, and is not kept quiet", () => {
  const undo = new Undo();
  const done: string[] = [];
  undo.add(() => done.push("first"));
  undo.add(refuse("stuck"));
  assert.throws(() => orUndo(undo, refuse("no room")), {
    name: "AggregateError",
    message: "Error: no room",
  });
  assert.deepEqual(done, ["first"]);
});

test("B5: what is kept for taking back is let go of once", () => {
  const undo = new Undo();
  let closed = 0;
  undo.whenClosed(() => closed++);
  undo.close();
  undo.close();
  assert.equal(closed, 1);
});
