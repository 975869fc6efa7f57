// A16: with k of n members holding a connection: what counts for output commit, and how records move when members come, go or refuse.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NodeId, nodeId } from "#base/ids.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";
import { Owner, type OwnerEffect } from "./owner.ts";
import { byPreference } from "./replica-choice.ts";
import { initial, openedAs } from "./testing/samples.ts";

const MEMBERS = [2, 3, 4, 5].map(nodeId);
/** In the order in which they are to hold the connection of the tests. */
const [FIRST, SECOND, THIRD, FOURTH] = byPreference(initial.key, MEMBERS) as [
  ...[NodeId, NodeId, NodeId, NodeId],
];
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const input = (offset: number, bytes: string): OwnerMessage => ({
  ...{ type: "input", connection: 1, offset },
  bytes: text(bytes),
});

/** Who is told what, and how far the connection is safe. */
const said = (effects: readonly OwnerEffect[]): unknown[] =>
  effects.map((effect) => {
    if (effect.type === "send") return [effect.to, effect.message.type];
    return effect.type === "commit" ? `safe to ${effect.inputOffset}` : effect.type;
  });

class Scene {
  readonly owner: Owner;
  readonly #sent = new Map<NodeId, number>();
  readonly #answered = new Map<NodeId, number>();

  constructor(replicas: number, ...members: NodeId[]) {
    this.owner = new Owner(replicas);
    for (const replica of members) this.step({ type: "replica-joined", replica });
  }

  step(input: Parameters<Owner["step"]>[0]): unknown[] {
    const effects = this.owner.step(input);
    for (const effect of effects) {
      if (effect.type !== "send") continue;
      this.#sent.set(effect.to, (this.#sent.get(effect.to) ?? 0) + 1);
    }
    return said(effects);
  }

  happened(message: OwnerMessage): unknown[] {
    return this.step({ type: "happened", message });
  }

  /** This one holds all that it was told, or so much of it less. */
  answers(replica: NodeId, less = 0): unknown[] {
    const messages = (this.#sent.get(replica) ?? 0) - less;
    if (messages === (this.#answered.get(replica) ?? 0)) return [];
    this.#answered.set(replica, messages);
    return this.step({ type: "answered", replica, message: { type: "acknowledged", messages } });
  }

  leaves(replica: NodeId): unknown[] {
    this.#sent.delete(replica);
    this.#answered.delete(replica);
    return this.step({ type: "replica-left", replica });
  }

  refuses(replica: NodeId): unknown[] {
    const message = { type: "refused", connection: 1, reason: "bytes" } as const;
    return this.step({ type: "answered", replica, message });
  }
}

test("A16: those that are chosen are told everything, the others that it is there, and only the chosen ones count", () => {
  const scene = new Scene(1, SECOND, FIRST, THIRD);
  assert.deepEqual(scene.happened(openedAs(1)), [
    [SECOND, "noted"],
    [FIRST, "opened"],
    [THIRD, "noted"],
  ]);
  assert.deepEqual(scene.happened(input(0, "hello")), [[FIRST, "input"]]);
  assert.deepEqual([scene.answers(SECOND), scene.answers(THIRD)], [[], []]);
  assert.equal(scene.owner.lackReplicas, 0);
  assert.deepEqual(scene.answers(FIRST), ["safe to 5"]);
  assert.deepEqual(scene.happened({ type: "closed", connection: 1 }), [
    [SECOND, "closed"],
    [FIRST, "closed"],
    [THIRD, "closed"],
  ]);
});

test("A16: with two of three, both must hold what is safe", () => {
  const scene = new Scene(2, FIRST, SECOND, THIRD);
  scene.happened(openedAs(1));
  scene.happened(input(0, "hello"));
  assert.deepEqual(scene.answers(FIRST), []);
  assert.deepEqual(scene.answers(SECOND), ["safe to 5"]);
});

test("A16: a holder that is gone is replaced: the next one gets a copy, and counts for k when it has all of it", () => {
  const scene = new Scene(1, FIRST, SECOND, THIRD);
  scene.happened(openedAs(1));
  scene.happened(input(0, "hello"));
  scene.answers(FIRST);
  scene.answers(SECOND);
  assert.deepEqual(scene.leaves(FIRST), [
    [SECOND, "opened"],
    [SECOND, "input"],
    [SECOND, "whole"],
  ]);
  assert.equal(scene.owner.lackReplicas, 1);
  assert.deepEqual(scene.happened(input(5, "!")), [[SECOND, "input"]]);
  assert.deepEqual(scene.answers(SECOND, 2), [], "not all of the copy");
  assert.equal(scene.owner.lackReplicas, 1);
  assert.deepEqual(scene.answers(SECOND, 1), [], "nothing new is safe by a copy");
  assert.equal(scene.owner.lackReplicas, 0);
  assert.deepEqual(scene.answers(SECOND), ["safe to 6"]);
});

test("A16: a member that joins gets its part; whom it replaces lets go when that is there, and counts until then", () => {
  const scene = new Scene(1, SECOND, THIRD);
  scene.happened(openedAs(1));
  scene.happened(input(0, "hello"));
  scene.answers(SECOND);
  assert.deepEqual(scene.step({ type: "replica-joined", replica: FIRST }), [
    [FIRST, "noted"],
    [FIRST, "opened"],
    [FIRST, "input"],
    [FIRST, "whole"],
  ]);
  assert.deepEqual(scene.happened(input(5, "!")), [
    [SECOND, "input"],
    [FIRST, "input"],
  ]);
  assert.deepEqual(scene.answers(SECOND), []);
  assert.equal(scene.owner.lackReplicas, 0);
  assert.deepEqual(scene.answers(FIRST), [[SECOND, "noted"], "safe to 6"]);
  assert.deepEqual(scene.happened(input(6, "?")), [[FIRST, "input"]]);
  assert.deepEqual(scene.step({ type: "replica-joined", replica: FOURTH }), [[FOURTH, "noted"]]);
});

test("A16: what a member still says of a copy that it has let go says nothing of the next one", () => {
  const scene = new Scene(1, SECOND);
  scene.happened(openedAs(1));
  scene.happened(input(0, "hello"));
  scene.step({ type: "replica-joined", replica: FIRST });
  assert.deepEqual(scene.answers(FIRST), [[SECOND, "noted"], "safe to 5"]);
  assert.deepEqual(scene.leaves(FIRST), [
    [SECOND, "opened"],
    [SECOND, "input"],
    [SECOND, "whole"],
  ]);
  scene.happened(input(5, "!"));
  assert.deepEqual(scene.answers(SECOND, 5), [], "what it had before it let go");
  assert.equal(scene.owner.lackReplicas, 1);
  assert.deepEqual(scene.answers(SECOND), ["safe to 6"]);
});

test("A16: fewer members than are wanted hold what there is; that is counted, and nothing waits for who is not there", () => {
  const scene = new Scene(3, FIRST);
  scene.happened(openedAs(1));
  scene.happened(input(0, "hello"));
  assert.deepEqual(scene.answers(FIRST), ["safe to 5"]);
  assert.equal(scene.owner.lackReplicas, 1);
  assert.deepEqual(scene.leaves(FIRST), ["exposed"]);
  for (const replica of MEMBERS.slice(0, 3)) scene.step({ type: "replica-joined", replica });
  for (const replica of MEMBERS.slice(0, 3)) scene.answers(replica);
  assert.equal(scene.owner.lackReplicas, 0);
});

test("A16: where one refuses, the next one is asked, and nobody twice", () => {
  const scene = new Scene(1, FIRST, SECOND);
  scene.happened(openedAs(1));
  assert.deepEqual(scene.refuses(FIRST), [
    [SECOND, "opened"],
    [SECOND, "whole"],
  ]);
  assert.deepEqual(scene.refuses(SECOND), ["exposed"]);
  assert.deepEqual(scene.step({ type: "replica-joined", replica: THIRD }), [
    [THIRD, "noted"],
    [THIRD, "opened"],
    [THIRD, "whole"],
  ]);
});

test("A8: whoever is handed a connection that it does not hold is told all of it first", () => {
  const scene = new Scene(1, FIRST, SECOND, THIRD);
  scene.happened(openedAs(1));
  scene.happened(input(0, "hello"));
  assert.deepEqual(scene.step({ type: "hand-over", connection: 1, to: THIRD }), [
    "silence",
    [THIRD, "opened"],
    [THIRD, "input"],
    [THIRD, "whole"],
    [THIRD, "handed"],
  ]);
  assert.deepEqual(scene.answers(THIRD), [], "the first choice holds it on, and is not replaced");
  assert.deepEqual(scene.step({ type: "taken", connection: 1 }), [
    [FIRST, "closed"],
    [SECOND, "closed"],
    [THIRD, "closed"],
  ]);
});

test("A8: the new owner hears all of it again on a new stream, and who refuses it is not handed it again", () => {
  const scene = new Scene(1, FIRST, THIRD);
  scene.happened(openedAs(1));
  scene.step({ type: "hand-over", connection: 1, to: THIRD });
  scene.leaves(THIRD);
  assert.deepEqual(scene.step({ type: "replica-joined", replica: THIRD }), [
    [THIRD, "noted"],
    [THIRD, "opened"],
    [THIRD, "whole"],
    [THIRD, "handed"],
  ]);
  assert.deepEqual(scene.refuses(THIRD), ["take-back", [FIRST, "closed"]]);
});
