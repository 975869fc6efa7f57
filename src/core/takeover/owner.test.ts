// A16: output commit at the owner: what is safe, what replicas are told, and what happens at a limit.
import assert from "node:assert/strict";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { advance } from "#base/sequence.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";
import { Owner, type OwnerEffect } from "./owner.ts";
import { openedAs, progressOf, RECEIVE_BASE } from "./testing/samples.ts";

const A = nodeId(2);
const B = nodeId(3);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const happened = (owner: Owner, message: OwnerMessage): OwnerEffect[] =>
  owner.step({ type: "happened", message });
const input = (offset: number, bytes: string): OwnerMessage => ({
  type: "input",
  connection: 1,
  offset,
  bytes: text(bytes),
});
const answered = (owner: Owner, replica: typeof A, messages: number): OwnerEffect[] =>
  owner.step({ type: "answered", replica, message: { type: "acknowledged", messages } });
const ofType = (effects: readonly OwnerEffect[], type: OwnerEffect["type"]): OwnerEffect[] =>
  effects.filter((effect) => effect.type === type);

function ownerOf(...replicas: (typeof A)[]): Owner {
  const owner = new Owner();
  for (const replica of replicas) owner.step({ type: "replica-joined", replica });
  happened(owner, openedAs(1));
  return owner;
}

test("A16: input is safe when the last of the replicas holds it, and not before", () => {
  const owner = ownerOf(A, B);
  const told = happened(owner, input(0, "hello"));
  assert.deepEqual(
    told.map((effect) => effect.type === "send" && effect.to),
    [A, B],
  );
  assert.deepEqual(answered(owner, A, 2), []);
  assert.deepEqual(answered(owner, B, 1), [], "that acknowledges the opening only");
  assert.deepEqual(answered(owner, B, 2), [
    {
      type: "commit",
      connection: 1,
      inputOffset: 5,
      receiveNext: advance(RECEIVE_BASE, 5),
      outputOffset: 0,
      states: 0,
      outputEnded: false,
    },
  ]);
});

test("A16: the peer's FIN may be acknowledged when its replicas know of it", () => {
  const owner = ownerOf(A);
  happened(owner, input(0, "bye"));
  happened(owner, { type: "input-ended", connection: 1, offset: 3 });
  const [commit] = answered(owner, A, 3);
  assert.ok(commit?.type === "commit");
  assert.equal(commit.receiveNext, advance(RECEIVE_BASE, 4));
});

test("A8: a hand-over: silence comes before the word, to the new owner alone, and records stay until it has told of the connection", () => {
  const owner = ownerOf(A, B);
  happened(owner, input(0, "hello"));
  const handed = owner.step({ type: "hand-over", connection: 1, to: B });
  assert.deepEqual(handed, [
    { type: "silence", connection: 1 },
    { type: "send", to: B, message: { type: "handed", connection: 1 } },
  ]);
  assert.deepEqual(happened(owner, input(5, "?")), [], "its socket is not heard any more");
  assert.deepEqual(happened(owner, { type: "closed", connection: 1 }), []);
  assert.equal(owner.connections, 1);
  const taken = owner.step({ type: "taken", connection: 1 });
  assert.deepEqual(
    taken.map((effect) => effect.type === "send" && [effect.to, effect.message.type]),
    [
      [A, "closed"],
      [B, "closed"],
    ],
  );
  assert.deepEqual([owner.connections, owner.loggedBytes], [0, 0]);
});

test("A8: a new owner that is gone before it has told of the connection, or would not have it, leaves it to who had it", () => {
  for (const end of [
    { type: "member-gone", member: B },
    {
      type: "answered",
      replica: B,
      message: { type: "refused", connection: 1, reason: "bytes" },
    },
  ] as const) {
    const owner = ownerOf(A, B);
    happened(owner, input(0, "hello"));
    owner.step({ type: "hand-over", connection: 1, to: B });
    const [back] = ofType(owner.step(end), "take-back");
    assert.ok(back?.type === "take-back");
    assert.equal(back.log.input.end, 5);
    assert.equal(owner.connections, 0);
  }
});

test("A8: a stream that ends does not end a hand-over: on the next one the new owner hears everything again", () => {
  const owner = ownerOf(A, B);
  owner.step({ type: "hand-over", connection: 1, to: B });
  assert.deepEqual(ofType(owner.step({ type: "replica-left", replica: B }), "take-back"), []);
  const again = owner.step({ type: "replica-joined", replica: B });
  assert.deepEqual(
    again.map((effect) => effect.type === "send" && effect.message.type),
    ["noted", "opened", "whole", "handed"],
  );
});

test("A8: what nobody there could take stays where it is", () => {
  const owner = ownerOf(A);
  assert.deepEqual(owner.step({ type: "hand-over", connection: 1, to: B }), [], "no stream");
  assert.deepEqual(owner.step({ type: "hand-over", connection: 9, to: A }), [], "no connection");
  owner.step({ type: "hand-over", connection: 1, to: A });
  assert.deepEqual(owner.step({ type: "hand-over", connection: 1, to: A }), [], "handed already");
});

test("A16: a replica that goes holds nothing up; without any the connection goes on, and that is said", () => {
  const owner = ownerOf(A, B);
  happened(owner, input(0, "hello"));
  answered(owner, A, 2);
  const left = owner.step({ type: "replica-left", replica: B });
  assert.deepEqual(
    left.map(({ type }) => type),
    ["commit"],
  );
  const last = owner.step({ type: "replica-left", replica: A });
  assert.deepEqual(last, [{ type: "exposed", connection: 1, reason: "no-replica" }]);
  const [commit] = happened(owner, input(5, "!"));
  assert.ok(commit?.type === "commit" && commit.inputOffset === 6);
});

test("A16: a replica that joins is told everything since the snapshot, and takes back nothing that was safe", () => {
  const owner = ownerOf(A);
  happened(owner, input(0, "hello "));
  happened(owner, {
    type: "snapshot",
    connection: 1,
    snapshot: { inputOffset: 6, outputOffset: 20, bytes: text("{}") },
  });
  happened(owner, input(6, "world"));
  answered(owner, A, 4);
  const told = owner.step({ type: "replica-joined", replica: B });
  assert.deepEqual(
    told.map((effect) => effect.type === "send" && effect.message.type),
    ["noted", "opened", "snapshot", "input", "whole"],
  );
  happened(owner, input(11, "!"));
  assert.deepEqual(answered(owner, A, 5), [], "B has not got it");
  assert.deepEqual(answered(owner, B, 4), [], "nor all of the copy");
  const [commit] = answered(owner, B, 6);
  assert.ok(commit?.type === "commit" && commit.inputOffset === 12);
});

test("A16: a refusing replica is not told on; acknowledgements that go back or too far say nothing", () => {
  const owner = ownerOf(A);
  const refused = owner.step({
    type: "answered",
    replica: A,
    message: { type: "refused", connection: 1, reason: "bytes" },
  });
  assert.deepEqual(ofType(refused, "exposed"), [
    { type: "exposed", connection: 1, reason: "no-replica" },
  ]);
  assert.deepEqual(ofType(happened(owner, input(0, "x")), "send"), []);
  assert.deepEqual(answered(owner, A, 9), []);
  assert.deepEqual(answered(owner, A, 0), []);
});

test("A16: a connection whose log is full goes on without protection: its replicas forget it, and its bytes are free again", () => {
  const owner = new Owner("all", { connections: 2, bytesPerConnection: 8, bytes: 100 });
  owner.step({ type: "replica-joined", replica: A });
  happened(owner, openedAs(1));
  happened(owner, input(0, "12345678"));
  const full = happened(owner, input(8, "9"));
  assert.deepEqual(full, [
    { type: "send", to: A, message: { type: "closed", connection: 1 } },
    { type: "exposed", connection: 1, reason: "limit" },
  ]);
  assert.equal(owner.loggedBytes, 0);
  assert.deepEqual(happened(owner, input(9, "10")), []);
  happened(owner, openedAs(2));
  assert.deepEqual(happened(owner, openedAs(3)), [
    { type: "exposed", connection: 3, reason: "limit" },
  ]);
  for (const connection of [1, 2, 3]) happened(owner, { type: "closed", connection });
  assert.equal(owner.connections, 0);
});

test("A16: snapshots and the peer's acknowledgements make room in the log", () => {
  const owner = ownerOf(A);
  happened(owner, input(0, "12345678"));
  happened(owner, { type: "output", connection: 1, offset: 0, bytes: text("abcdef") });
  assert.equal(owner.loggedBytes, 14);
  happened(owner, progressOf(1, { outputOffset: 4 }));
  assert.equal(owner.loggedBytes, 10);
  const snapshot = { inputOffset: 8, outputOffset: 6, bytes: text("s") };
  happened(owner, { type: "snapshot", connection: 1, snapshot });
  assert.equal(owner.loggedBytes, 3);
  happened(owner, { type: "closed", connection: 1 });
  assert.equal(owner.loggedBytes, 0);
});

test("A16: what cannot follow is a defect of the caller, and changes nothing", () => {
  const owner = ownerOf(A);
  assert.throws(() => happened(owner, input(3, "gap")), RangeError);
  assert.equal(owner.loggedBytes, 0);
});

test("A16: without the right to speak nothing more is safe, however few replicas there are; it is when the right is back", () => {
  const owner = ownerOf(A);
  happened(owner, input(0, "hello"));
  answered(owner, A, 2);
  owner.step({ type: "right", speaks: false });
  happened(owner, input(5, "!"));
  const left = owner.step({ type: "replica-left", replica: A });
  assert.deepEqual(left, [{ type: "exposed", connection: 1, reason: "no-replica" }]);
  assert.deepEqual(happened(owner, input(6, "?")), []);
  assert.deepEqual(owner.step({ type: "right", speaks: false }), []);
  const [commit, ...more] = owner.step({ type: "right", speaks: true });
  assert.ok(commit?.type === "commit" && commit.inputOffset === 7);
  assert.deepEqual(more, []);
});

test("A16: what was kept back is not safe by itself when the right is back: a replica that is there by then must hold it, and an abandoned connection has nothing", () => {
  for (const end of ["held", "abandoned"] as const) {
    const owner = ownerOf();
    owner.step({ type: "right", speaks: false });
    happened(owner, input(0, "hello"));
    if (end === "abandoned") happened(owner, { type: "closed", connection: 1 });
    owner.step({ type: "replica-joined", replica: A });
    assert.deepEqual(owner.step({ type: "right", speaks: true }), [], end);
    const told = answered(owner, A, 4);
    assert.deepEqual(
      told.map((effect) => effect.type === "commit" && effect.inputOffset),
      end === "held" ? [5] : [],
    );
  }
});

test("A8: without the right to speak nothing is handed over: others may have it by now, and know more", () => {
  const owner = new Owner();
  owner.step({ type: "replica-joined", replica: A });
  happened(owner, openedAs(1));
  const handOver = { type: "hand-over", connection: 1, to: A } as const;
  owner.step({ type: "right", speaks: false });
  assert.deepEqual(owner.step(handOver), []);
  owner.step({ type: "right", speaks: true });
  assert.equal(owner.step(handOver)[0]?.type, "silence");
});

test("A16: without the right to speak nobody hears that a limit was reached either: it would let go what waits for replicas", () => {
  const owner = new Owner("all", { connections: 2, bytesPerConnection: 4, bytes: 100 });
  happened(owner, openedAs(1));
  owner.step({ type: "right", speaks: false });
  assert.deepEqual(happened(owner, input(0, "12345")), []);
  assert.equal(owner.loggedBytes, 0);
  const exposed = [{ type: "exposed", connection: 1, reason: "limit" }];
  assert.deepEqual(owner.step({ type: "right", speaks: true }), exposed);
  owner.step({ type: "right", speaks: false });
  assert.deepEqual(owner.step({ type: "right", speaks: true }), [], "said once");
});

test("A16: nor that there were too many connections when this one began", () => {
  const owner = new Owner("all", { connections: 0, bytesPerConnection: 4, bytes: 100 });
  owner.step({ type: "right", speaks: false });
  assert.deepEqual(happened(owner, openedAs(1)), []);
  const exposed = [{ type: "exposed", connection: 1, reason: "limit" }];
  assert.deepEqual(owner.step({ type: "right", speaks: true }), exposed);
});
