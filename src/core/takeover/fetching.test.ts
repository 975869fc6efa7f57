// A16: whoever takes over a connection that it does not hold gets it from one that does: whom it asks, what it believes, when it gives up.
import assert from "node:assert/strict";
import { test } from "node:test";
import { type NodeId, nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { CopyMessage } from "#wire/takeover/message.ts";
import { ConnectionLog } from "./connection-log.ts";
import { Fetching, type FetchingInput, NOBODY_MS } from "./fetching.ts";
import { TAKEOVER_LIMITS } from "./limits.ts";
import type { Fetch } from "./replica.ts";
import { byPreference } from "./replica-choice.ts";
import { initial, openedAs, progressOf } from "./testing/samples.ts";

const OWNER = nodeId(1);
const [FIRST, SECOND, THIRD] = byPreference(initial.key, [2, 3, 4].map(nodeId)) as [
  ...[NodeId, NodeId, NodeId],
];
const fetchOf = (connection: number): Fetch => ({
  ...{ owner: OWNER, clockAt: instant(0) },
  opened: openedAs(connection),
});
const bytes = (length: number): Uint8Array => new Uint8Array(length).fill(7);

/** What a holder answers: so much input, behind where the peer was last. */
function* copyOf(connection: number, length: number): Generator<CopyMessage> {
  const log = new ConnectionLog(openedAs(connection));
  log.apply(progressOf(connection, { outputOffset: 0 }));
  if (length > 0) log.apply({ type: "input", connection, offset: 0, bytes: bytes(length) });
  yield* log.copy();
}

class Scene {
  readonly fetching = new Fetching();
  ms = 0;

  constructor(...members: NodeId[]) {
    for (const member of members) this.step({ type: "member-there", member });
  }

  step(input: FetchingInput): unknown[] {
    return this.fetching.step(instant(this.ms), input).map((effect) => {
      if (effect.type === "ask") return `${effect.to} is asked for ${effect.connection}`;
      const { connection } = effect.fetch.opened;
      if (effect.type === "lost") return `${connection} is lost`;
      return `${connection} with ${effect.connection.log.input.end} bytes`;
    });
  }

  want(connection: number): unknown[] {
    return this.step({ type: "want", fetch: fetchOf(connection) });
  }

  lacks(from: NodeId, connection = 1): unknown[] {
    return this.step({ type: "lacking", from, owner: OWNER, connection });
  }

  passes(from: NodeId, messages: Iterable<CopyMessage>): unknown[] {
    return [...messages].flatMap((message) =>
      this.step({ type: "passed", from, owner: OWNER, message }),
    );
  }

  /** In steps of a tick. */
  after(ms: number, speaks = true): unknown[] {
    const said = [];
    for (const end = this.ms + ms; this.ms < end;) {
      this.ms += 25;
      said.push(...this.step({ type: "tick", speaks }));
    }
    return said;
  }
}

test("A16: the member that was to hold it first is asked first, and a whole answer is the connection", () => {
  const scene = new Scene(THIRD, SECOND, FIRST);
  assert.deepEqual(scene.want(1), [`${FIRST} is asked for 1`]);
  scene.ms = 40;
  const [opened, ...rest] = copyOf(1, 5);
  assert.ok(opened !== undefined);
  assert.deepEqual(scene.passes(FIRST, [opened]), []);
  assert.deepEqual(scene.passes(FIRST, rest), ["1 with 5 bytes"]);
  assert.equal(scene.fetching.connections, 0);
  assert.deepEqual(scene.after(NOBODY_MS * 2), []);
});

test("A16: who lacks it is followed by the next, and so is one whose stream ends in the middle", () => {
  const scene = new Scene(FIRST, SECOND, THIRD);
  scene.want(1);
  assert.deepEqual(scene.lacks(FIRST), [`${SECOND} is asked for 1`]);
  const [opened] = copyOf(1, 5);
  assert.ok(opened !== undefined);
  scene.passes(SECOND, [opened]);
  const left = scene.step({ type: "member-left", member: SECOND });
  assert.deepEqual(left, [`${THIRD} is asked for 1`]);
  assert.deepEqual(scene.passes(THIRD, copyOf(1, 5)), ["1 with 5 bytes"]);
});

test("A16: one that says nothing is not waited for alone; whoever is whole first is believed, and the other's answer is no one's", () => {
  const scene = new Scene(FIRST, SECOND);
  scene.want(1);
  assert.deepEqual(scene.after(100), [`${SECOND} is asked for 1`]);
  const [opened, ...rest] = copyOf(1, 5);
  assert.ok(opened !== undefined);
  scene.passes(FIRST, [opened]);
  assert.deepEqual(scene.passes(SECOND, copyOf(1, 5)), ["1 with 5 bytes"]);
  assert.deepEqual(scene.passes(FIRST, rest), []);
});

test("A16: an answer that contradicts itself or is longer than any record is not listened to", () => {
  for (const wrong of [
    { type: "input", connection: 1, offset: 3, bytes: bytes(2) },
    {
      type: "input",
      connection: 1,
      offset: 0,
      bytes: bytes(TAKEOVER_LIMITS.bytesPerConnection + 1),
    },
  ] as const) {
    const scene = new Scene(FIRST, SECOND);
    scene.want(1);
    scene.passes(FIRST, [openedAs(1)]);
    assert.deepEqual(scene.passes(FIRST, [wrong]), [`${SECOND} is asked for 1`]);
    assert.deepEqual(scene.passes(FIRST, [{ type: "whole", connection: 1 }]), []);
    assert.deepEqual(scene.passes(SECOND, copyOf(1, 2)), ["1 with 2 bytes"]);
  }
});

test("A16: where nobody has it, a holder that comes back is asked; none for long, and it is lost", () => {
  const scene = new Scene(SECOND);
  scene.want(1);
  assert.deepEqual(scene.lacks(SECOND), []);
  assert.deepEqual(scene.after(NOBODY_MS - 100), []);
  assert.deepEqual(scene.step({ type: "member-there", member: FIRST }), [
    `${FIRST} is asked for 1`,
  ]);
  assert.deepEqual(scene.lacks(FIRST), []);
  assert.deepEqual(scene.after(NOBODY_MS), ["1 is lost"]);
  assert.equal(scene.fetching.connections, 0);
});

test("A16: nothing is lost while this node may not speak, nor while somebody has yet to answer", () => {
  const alone = new Scene();
  assert.deepEqual(alone.want(1), []);
  assert.deepEqual(alone.after(4 * NOBODY_MS, false), []);
  assert.deepEqual(alone.after(NOBODY_MS - 25), []);
  assert.deepEqual(alone.after(50), ["1 is lost"]);
  const waiting = new Scene(FIRST);
  waiting.want(1);
  assert.deepEqual(waiting.after(4 * NOBODY_MS), []);
});

test("A16: what is another's to take by now is asked for no more, and may be wanted again", () => {
  const scene = new Scene(FIRST);
  const fetch = fetchOf(1);
  scene.step({ type: "want", fetch });
  scene.step({ type: "drop", fetch });
  const [opened, ...rest] = copyOf(1, 5);
  assert.ok(opened !== undefined);
  assert.deepEqual(scene.passes(FIRST, [opened]), []);
  assert.deepEqual(scene.want(1), [`${FIRST} is asked for 1`]);
  assert.deepEqual(scene.passes(FIRST, rest), [], "the rest of the answer to the first question");
  assert.deepEqual(scene.passes(FIRST, copyOf(1, 6)), ["1 with 6 bytes"]);
});

test("A16: one member is asked for so many at once; a stream that ended under its answers is asked for few", () => {
  const scene = new Scene(FIRST);
  const asked = Array.from({ length: 100 }, (_, index) => scene.want(index + 1)).flat();
  assert.equal(asked.length, 48);
  assert.deepEqual(scene.passes(FIRST, copyOf(1, 5)), [
    `${FIRST} is asked for 49`,
    "1 with 5 bytes",
  ]);
  assert.deepEqual(scene.lacks(FIRST, 2), [`${FIRST} is asked for 50`]);
  scene.step({ type: "member-left", member: FIRST });
  const again = scene.step({ type: "member-there", member: FIRST });
  assert.equal(again.length, 4);
});
