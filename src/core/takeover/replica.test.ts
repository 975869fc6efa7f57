// A16: what a replica holds, answers and refuses; and that owner and replica together lose no byte, wherever the owner stops.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { encodeReplication, replicationDecoder } from "#wire/takeover/frame.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";
import { ConnectionLog } from "./connection-log.ts";
import { Owner, type OwnerEffect } from "./owner.ts";
import { Replica, type ReplicaEffect } from "./replica.ts";
import { initial, openedAs } from "./testing/samples.ts";

const OWNER = nodeId(1);
const HERE = nodeId(2);
const NOW = instant(1000);
const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const told = (replica: Replica, ...messages: OwnerMessage[]): ReplicaEffect[] =>
  replica.step(NOW, { type: "told", owner: OWNER, messages });
const inputOf = (connection: number, offset: number, value: string): OwnerMessage => ({
  type: "input",
  connection,
  offset,
  bytes: text(value),
});

test("A16: from its opening on, packets of a connection are kept from the stack; one answer for all that came", () => {
  const replica = new Replica();
  assert.deepEqual(told(replica, openedAs(1), inputOf(1, 0, "hello")), [
    { type: "shield", key: initial.key, generation: 0 },
    { type: "answer", to: OWNER, message: { type: "acknowledged", messages: 2 } },
  ]);
  assert.equal(replica.bytes, 5);
  assert.deepEqual(told(replica, { type: "closed", connection: 1 }), [
    { type: "unshield", key: initial.key },
    { type: "answer", to: OWNER, message: { type: "acknowledged", messages: 3 } },
  ]);
  assert.deepEqual([replica.bytes, replica.connections], [0, 0]);
});

test("A16: a handed connection is resumed at once; a taken one only once", () => {
  const replica = new Replica();
  told(replica, openedAs(1), openedAs(2));
  const [resume] = told(replica, { type: "handed", connection: 1 });
  assert.ok(resume?.type === "resume" && resume.connection.clockAt === NOW);
  const take = { type: "take", owner: OWNER, connection: 2 } as const;
  assert.equal(replica.step(NOW, take).length, 1);
  assert.deepEqual(replica.step(NOW, take), []);
});

test("A16: what its owner may have gone on without is not taken over from: another member is to say what is there", () => {
  const replica = new Replica();
  told(replica, openedAs(1), inputOf(1, 0, "hello"));
  replica.step(NOW, { type: "outdated", owner: OWNER });
  assert.equal(replica.whole(OWNER, 1), undefined, "nor is it given to another member");
  const [fetch] = replica.step(NOW, { type: "take", owner: OWNER, connection: 1 });
  assert.equal(fetch?.type, "fetch");
  assert.equal(replica.bytes, 0);
});

test("A16: limits and contradictions are refused, counted, and leave nothing behind", () => {
  const replica = new Replica({ connections: 1, bytesPerConnection: 4, bytes: 100 });
  told(replica, openedAs(1));
  const second = told(replica, openedAs(2));
  assert.deepEqual(second[0], {
    type: "answer",
    to: OWNER,
    message: { type: "refused", connection: 2, reason: "connections" },
  });
  const full = told(replica, inputOf(1, 0, "12345"), inputOf(1, 5, "after"));
  assert.deepEqual(
    full.map((effect) => (effect.type === "answer" ? effect.message.type : effect.type)),
    ["unshield", "refused", "acknowledged"],
  );
  told(replica, openedAs(3), inputOf(3, 7, "a gap"));
  assert.deepEqual(replica.counts, { refused: 2, contradictions: 1 });
  assert.deepEqual([replica.bytes, replica.connections], [0, 0]);
});

test("A16: an owner that begins anew is known no more", () => {
  const replica = new Replica();
  told(replica, openedAs(1), inputOf(1, 0, "x"));
  assert.deepEqual(replica.step(NOW, { type: "owner-gone", owner: OWNER }), [
    { type: "unshield", key: initial.key },
  ]);
  assert.deepEqual(told(replica, openedAs(1)).at(-1), {
    type: "answer",
    to: OWNER,
    message: { type: "acknowledged", messages: 1 },
  });
});

test("A16: a taken connection that is not resumed after all is kept as before, with what it costs, and can be taken again", () => {
  const replica = new Replica();
  told(replica, openedAs(1), inputOf(1, 0, "hello"));
  const take = { type: "take", owner: OWNER, connection: 1 } as const;
  for (const _ of [1, 2]) {
    const [resume] = replica.step(NOW, take);
    assert.ok(resume?.type === "resume");
    assert.equal(resume.connection.log.input.end, 5);
    assert.deepEqual([replica.bytes, replica.connections], [0, 0]);
    const { connection } = resume;
    assert.deepEqual(replica.step(NOW, { type: "put-back", connection }), []);
    assert.deepEqual([replica.bytes, replica.connections], [5, 1]);
  }
});

test("A16: what was taken is void when its owner has begun anew, and let go of when others have its room", () => {
  const begunAnew = (replica: Replica): unknown =>
    replica.step(NOW, { type: "owner-gone", owner: OWNER });
  const another = (replica: Replica): unknown =>
    told(replica, openedAs(2), inputOf(2, 0, "1234567"));
  for (const [then, connections, bytes, refused] of [
    [begunAnew, 9, 100, 0],
    [another, 1, 100, 1],
    [another, 9, 8, 1],
  ] as const) {
    const replica = new Replica({ connections, bytesPerConnection: 8, bytes });
    told(replica, openedAs(1), inputOf(1, 0, "hello"));
    const [resume] = replica.step(NOW, { type: "take", owner: OWNER, connection: 1 });
    assert.ok(resume?.type === "resume");
    then(replica);
    const before = [replica.connections, replica.bytes];
    const { connection } = resume;
    const unshield = { type: "unshield", key: initial.key };
    assert.deepEqual(replica.step(NOW, { type: "put-back", connection }), [unshield]);
    assert.deepEqual([replica.connections, replica.bytes], before);
    assert.equal(replica.counts.refused, refused);
  }
});

const noted = (connection: number): OwnerMessage => ({ ...openedAs(connection), type: "noted" });
const take = (replica: Replica, connection: number): ReplicaEffect[] =>
  replica.step(NOW, { type: "take", owner: OWNER, connection });
const WHOLE: OwnerMessage = { type: "whole", connection: 1 };

test("A16: a connection that is only noted keeps the stack out, too, and costs a place; whoever is to take it gets it elsewhere first", () => {
  const replica = new Replica({ connections: 1, bytesPerConnection: 8, bytes: 100 });
  assert.deepEqual(told(replica, noted(1))[0], {
    ...{ type: "shield", key: initial.key, generation: 0 },
  });
  assert.deepEqual([replica.connections, replica.noted], [0, 1]);
  assert.equal(replica.whole(OWNER, 1), undefined);
  assert.deepEqual(told(replica, noted(2))[0], {
    ...{ type: "answer", to: OWNER },
    message: { type: "refused", connection: 2, reason: "connections" },
  });
  const [fetch] = take(replica, 1);
  assert.ok(fetch?.type === "fetch" && fetch.fetch.opened.connection === 1);
  assert.deepEqual(take(replica, 1), []);
  const held = { log: new ConnectionLog(openedAs(1)), clockAt: NOW };
  const [resume] = replica.step(NOW, { type: "fetched", fetch: fetch.fetch, connection: held });
  assert.ok(resume?.type === "resume" && resume.connection === held && !resume.handed);
  assert.deepEqual(replica.step(NOW, { type: "put-back", connection: held }), []);
  assert.equal(replica.whole(OWNER, 1)?.log, held.log);
});

test("A16: one that was to be got elsewhere and is not after all is noted as before, unless its owner has begun anew", () => {
  for (const isVoid of [false, true]) {
    const replica = new Replica();
    told(replica, noted(1));
    const [fetch] = take(replica, 1);
    assert.ok(fetch?.type === "fetch");
    if (isVoid) replica.step(NOW, { type: "owner-gone", owner: OWNER });
    const back = replica.step(NOW, { type: "put-back-noted", fetch: fetch.fetch });
    assert.deepEqual(back, isVoid ? [{ type: "unshield", key: initial.key }] : []);
    assert.equal(replica.noted, isVoid ? 0 : 1);
  }
});

test("A16: a copy is worth nothing before it is whole: a member that has a part of it takes it from another", () => {
  const replica = new Replica();
  told(replica, noted(1));
  assert.deepEqual(
    told(replica, openedAs(1), inputOf(1, 0, "hello")).map(({ type }) => type),
    ["answer"],
    "the stack is kept out already",
  );
  assert.equal(replica.whole(OWNER, 1), undefined);
  const [fetch] = take(replica, 1);
  assert.equal(fetch?.type, "fetch");
  assert.equal(replica.bytes, 0);

  const other = new Replica();
  told(other, noted(1), openedAs(1), inputOf(1, 0, "hello"), WHOLE);
  assert.equal(other.whole(OWNER, 1)?.log.input.end, 5);
  assert.equal(take(other, 1)[0]?.type, "resume");
});

test("A16: who is to hold a connection no more keeps its name; the last word of its owner, or a new beginning, ends that as well", () => {
  for (const end of ["closed", "owner-gone"] as const) {
    const replica = new Replica();
    told(replica, openedAs(1), inputOf(1, 0, "hello"));
    const effects = told(replica, noted(1));
    assert.deepEqual(
      effects.map(({ type }) => type),
      ["answer"],
    );
    assert.deepEqual([replica.bytes, replica.connections, replica.noted], [0, 0, 1]);
    assert.deepEqual(
      [...replica.known(OWNER)].map(({ connection }) => connection),
      [1],
    );
    const [unshield] =
      end === "closed"
        ? told(replica, { type: "closed", connection: 1 })
        : replica.step(NOW, { type: "owner-gone", owner: OWNER });
    assert.deepEqual(unshield, { type: "unshield", key: initial.key });
    assert.equal(replica.noted, 0);
  }
});

/** What the application of a test does: it sums what it reads; a snapshot is the sum, its output one byte for one. */
interface Step {
  readonly kind: "input" | "snapshot" | "deliver" | "rejoin";
  readonly size: number;
}
const step: fc.Arbitrary<Step> = fc.record({
  kind: fc.constantFrom("input", "input", "deliver", "snapshot", "rejoin"),
  size: fc.integer({ min: 1, max: 40 }),
});

/** An owner, the stream to its replica as bytes, and the replica; messages wait until they are delivered. */
class Pair {
  readonly owner = new Owner();
  replica = new Replica();
  readonly stream: number[] = [];
  committed = 0;
  received = 0;
  #waiting: OwnerMessage[] = [];

  perform(effects: readonly OwnerEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "send") this.#waiting.push(effect.message);
      if (effect.type === "commit") this.committed = effect.inputOffset;
    }
  }

  input(size: number): void {
    const bytes = Uint8Array.from({ length: size }, (_, index) => (this.received + index) & 0xff);
    this.stream.push(...bytes);
    const message = { type: "input", connection: 1, offset: this.received, bytes } as const;
    this.received += size;
    this.perform(this.owner.step({ type: "happened", message }));
  }

  snapshot(): void {
    const snapshot = { inputOffset: this.received, outputOffset: 0, bytes: text("state") };
    const message = { type: "snapshot", connection: 1, snapshot } as const;
    this.perform(this.owner.step({ type: "happened", message }));
  }

  /** The stream carries some of what waits, through the codec; the answer comes back. */
  deliver(count: number): void {
    const frames = this.#waiting.splice(0, count).map((each) => encodeReplication(each));
    const received = replicationDecoder().push(
      Buffer.concat(frames.map((each) => each ?? text(""))),
    );
    const messages = received.map((each) => {
      assert.ok(each.ok);
      return each.message as OwnerMessage;
    });
    for (const effect of this.replica.step(NOW, { type: "told", owner: OWNER, messages })) {
      if (effect.type !== "answer") continue;
      this.perform(this.owner.step({ type: "answered", replica: HERE, message: effect.message }));
    }
  }

  /** The replica's process begins anew, and with it the stream. */
  rejoin(): void {
    this.#waiting = [];
    this.replica = new Replica();
    this.perform(this.owner.step({ type: "replica-left", replica: HERE }));
    this.perform(this.owner.step({ type: "replica-joined", replica: HERE }));
  }
}

test("A16: every byte that may have been acknowledged to the peer is at the replica, wherever the owner stops", () => {
  fc.assert(
    fc.property(fc.array(step, { maxLength: 60 }), (steps) => {
      const pair = new Pair();
      pair.perform(pair.owner.step({ type: "replica-joined", replica: HERE }));
      pair.perform(pair.owner.step({ type: "happened", message: openedAs(1) }));
      let sole = 0;
      for (const { kind, size } of steps) {
        if (kind === "input") pair.input(size);
        if (kind === "snapshot") pair.snapshot();
        if (kind === "deliver") pair.deliver(size % 5);
        if (kind === "rejoin") {
          pair.rejoin();
          // With its only replica gone, the owner is alone with what it has.
          sole = pair.committed;
        }
        const held = pair.replica.held(OWNER).get(1)?.log;
        const from = held?.snapshot?.inputOffset ?? 0;
        const log = held?.input.pieces.flatMap(({ bytes }) => [...bytes]) ?? [];
        assert.deepEqual(log, pair.stream.slice(from, from + log.length));
        assert.ok(Math.max(sole, from + log.length) >= pair.committed);
      }
    }),
    { numRuns: 300 },
  );
});
