// A16: output that is made again, output that is copied, and what waits for whom.
import assert from "node:assert/strict";
import { test } from "node:test";
import fc from "fast-check";
import { ConnectionLog } from "./connection-log.ts";
import { Outbox, type OutboxEffect } from "./outbox.ts";
import { openedAs, progressOf } from "./testing/samples.ts";

const text = (value: string): Uint8Array => new TextEncoder().encode(value);
const fresh = (): Outbox => new Outbox({ made: 0, delivered: 0, ended: false, states: 0 });
const commitOf = (output: string, id: number) => ({
  output: text(output),
  state: text(`s${id}`),
  inputOffset: 0,
  id,
});
const types = (effects: readonly OutboxEffect[]): string[] => effects.map(({ type }) => type);

test("A16: copied output leaves when the replicas hold it and the state behind it, and what follows waits behind it", () => {
  const box = fresh();
  assert.deepEqual(box.commit(commitOf("one", 1)), [
    { type: "tell-output", offset: 0, bytes: text("one") },
    { type: "tell-state", snapshot: { inputOffset: 0, outputOffset: 3, bytes: text("s1") } },
  ]);
  assert.deepEqual(types(box.commit(commitOf("two", 2))), ["tell-output", "tell-state"]);
  assert.deepEqual(box.write(text("!")), []);
  assert.equal(box.waiting, 7, "in the queue");
  assert.deepEqual(box.held(1, false), [
    { type: "send", bytes: text("one") },
    { type: "held", id: 1 },
  ]);
  assert.deepEqual(types(box.held(2, false)), ["send", "held", "send"]);
  assert.equal(box.waiting, 6, "kept by the replicas for the peer");
});

test("A16: output that is made again leaves at once; its state is told when the peer has it", () => {
  const box = fresh();
  assert.deepEqual(types(box.state(text("a"), 1)), ["tell-state"], "before any output");
  assert.deepEqual(types(box.write(text("12345"))), ["send"]);
  assert.deepEqual(box.state(text("b"), 2), []);
  box.write(text("678"));
  assert.deepEqual(box.state(text("c"), 3), []);
  assert.ok(box.asksPeer);
  assert.deepEqual(box.acknowledged(4), []);
  assert.deepEqual(box.acknowledged(6), [
    { type: "tell-state", snapshot: { inputOffset: 2, outputOffset: 5, bytes: text("b") } },
  ]);
  assert.deepEqual(types(box.acknowledged(8)), ["tell-state"]);
  assert.ok(!box.asksPeer);
});

test("A16: a commit behind output that is made again waits until the peer has that", () => {
  const box = fresh();
  box.write(text("head"));
  assert.deepEqual(box.commit(commitOf("tail", 1)), []);
  assert.deepEqual(types(box.acknowledged(4)), ["tell-output", "tell-state"]);
  assert.deepEqual(types(box.held(1, false)), ["send", "held"]);
});

test("A16: a FIN leaves behind all output, when the replicas know of it; it is told once", () => {
  const box = fresh();
  box.commit(commitOf("bye", 1));
  assert.deepEqual(box.end(), []);
  assert.throws(() => box.write(text("more")), RangeError);
  assert.deepEqual(types(box.held(1, false)), ["send", "held", "tell-end"]);
  assert.deepEqual(box.end(), []);
  assert.deepEqual(types(box.held(1, true)), ["send-end"]);
  const resumed = new Outbox({ made: 3, delivered: 3, ended: true, states: 1 });
  assert.deepEqual(resumed.end(), [], "told by an earlier owner");
  assert.deepEqual(types(resumed.held(1, true)), ["send-end"]);
});

test("A16: without protection nothing waits", () => {
  const box = fresh();
  box.write(text("a"));
  box.state(text("s"), 0);
  box.commit(commitOf("b", 1));
  box.end();
  assert.deepEqual(types(box.expose()), ["send", "held", "send-end"]);
  const alone = fresh();
  alone.expose();
  assert.deepEqual(types(alone.commit(commitOf("b", 1))), ["send", "held"]);
  assert.deepEqual([alone.waiting, alone.asksPeer], [0, false]);
});

test("A16: after a takeover, what the peer has is made again and not sent, and never more than that", () => {
  const box = new Outbox({ made: 4, delivered: 10, ended: false, states: 1 });
  assert.equal(box.missing, 6);
  box.skip(2);
  assert.throws(() => box.skip(5), RangeError);
  assert.throws(() => box.commit(commitOf("x", 1)), RangeError);
  assert.deepEqual(box.write(text("abcdef")), [{ type: "send", bytes: text("ef") }]);
});

test("A16: replicas are told what the peer has, by 4 KiB of copied output and by 2^28 bytes of any", () => {
  const box = fresh();
  box.commit(commitOf("x".repeat(5000), 1));
  box.held(1, false);
  assert.deepEqual(box.acknowledged(4000), []);
  assert.deepEqual(box.acknowledged(5000), [{ type: "tell-progress", outputOffset: 5000 }]);
  const far = new Outbox({ made: 0, delivered: 2 ** 28, ended: false, states: 0 });
  far.skip(2 ** 28);
  far.write(text("x"));
  assert.ok(!far.asksPeer);
  const farther = new Outbox({ made: 0, delivered: 0, ended: false, states: 0 });
  assert.deepEqual(types(farther.acknowledged(2 ** 28)), ["tell-progress"]);
});

test("A16: so many states wait for the peer, and no more", () => {
  const box = fresh();
  for (let at = 1; at <= 20; at++) {
    box.write(text("x"));
    box.state(text(String(at)), at);
  }
  const told: number[] = [];
  for (let at = 1; at <= 20; at++) {
    for (const effect of box.acknowledged(at)) {
      if (effect.type === "tell-state") told.push(effect.snapshot.outputOffset);
    }
  }
  assert.deepEqual(told, [1, 2, 3, 4, 5, 6, 7, 20]);
});

type Act = { readonly kind: "write" | "commit" | "state" | "ack" | "hold"; readonly size: number };
const act: fc.Arbitrary<Act> = fc.record({
  kind: fc.constantFrom("write", "commit", "commit", "state", "ack", "hold"),
  size: fc.integer({ min: 0, max: 12 }),
});

/** An application, its peer, and one replica that lags behind. The byte at offset n is n. */
class Scene {
  readonly box = fresh();
  /** What was told, and how much of it the replica holds. */
  readonly told: Parameters<ConnectionLog["apply"]>[0][] = [];
  holds = 0;
  sent: number[] = [];
  acknowledged = 0;
  /** Offsets of bytes that only commit() made. */
  readonly copied = new Set<number>();

  bytes(size: number): Uint8Array {
    return Uint8Array.from({ length: size }, (_, index) => (this.box.made + index) & 0xff);
  }

  perform(effects: readonly OutboxEffect[]): void {
    const connection = 1;
    for (const effect of effects) {
      if (effect.type === "send") this.sent.push(...effect.bytes);
      if (effect.type === "tell-state") {
        this.told.push({ type: "snapshot", connection, snapshot: effect.snapshot });
      }
      if (effect.type === "tell-output") {
        this.told.push({
          type: "output",
          connection,
          offset: effect.offset,
          bytes: effect.bytes,
        });
      }
      if (effect.type === "tell-progress") {
        this.told.push(progressOf(1, { outputOffset: effect.outputOffset }));
      }
    }
  }

  do({ kind, size }: Act): void {
    const { box } = this;
    if (kind === "write") this.perform(box.write(this.bytes(size)));
    if (kind === "state") this.perform(box.state(text("s"), 0));
    if (kind === "ack") {
      this.acknowledged = Math.min(this.sent.length, this.acknowledged + size);
      this.perform(box.acknowledged(this.acknowledged));
    }
    if (kind === "commit") {
      const output = this.bytes(size);
      for (let at = 0; at < size; at++) this.copied.add(box.made + at);
      this.perform(box.commit({ output, state: text("c"), inputOffset: 0, id: 1 }));
    }
    if (kind === "hold") {
      this.holds = Math.min(this.told.length, this.holds + size);
      this.perform(box.held(this.replica().states, false));
    }
  }

  replica(): ConnectionLog {
    const log = new ConnectionLog(openedAs(1));
    for (const message of this.told.slice(0, this.holds)) assert.ok(log.apply(message));
    return log;
  }
}

test("A16: wherever the owner stops, the replica's state and copies and the peer's bytes make one stream", () => {
  fc.assert(
    fc.property(fc.array(act, { maxLength: 60 }), fc.nat(), (acts, heard) => {
      const scene = new Scene();
      for (const each of acts) scene.do(each);
      assert.deepEqual(
        scene.sent,
        scene.sent.map((_, offset) => offset & 0xff),
      );
      // Of what left, the peer has at least what it acknowledged.
      const { acknowledged, sent } = scene;
      const has = acknowledged + (heard % (sent.length - acknowledged + 1));
      const log = scene.replica();
      log.rewind();
      const made = log.snapshot?.outputOffset ?? 0;
      const copies = new Map(
        log.output.pieces.flatMap(({ offset, bytes }) =>
          [...bytes].map((byte, index) => [offset + index, byte] as const),
        ),
      );
      for (let at = has; at < made; at++) assert.equal(copies.get(at), at & 0xff, "not lost");
      for (let at = made; at < has; at++) assert.ok(!scene.copied.has(at), "not unknown");
    }),
    { numRuns: 500 },
  );
});
