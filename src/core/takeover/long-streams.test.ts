// A16: streams longer than 32-bit numbers can tell apart: taken over again and again, each goes on at the peer's own place.
import assert from "node:assert/strict";
import { test } from "node:test";
import { Prng } from "#base/prng.ts";
import { advance, distance } from "#base/sequence.ts";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import type { Opened, OwnerMessage } from "#wire/takeover/message.ts";
import { Outbox, type OutboxEffect } from "./outbox.ts";
import { Owner, type OwnerEffect } from "./owner.ts";
import { progressOf } from "./progress.ts";
import { type HeldConnection, Replica } from "./replica.ts";
import { type Resumed, Resumption } from "./resumption.ts";
import { openedAs } from "./testing/samples.ts";

const MEMBER = nodeId(1);
const OTHER = nodeId(2);
const NOW = instant(1000);
const GIB = 2 ** 30;
const OUTPUT = new Uint8Array(64 * 1024 * 1024);
/** Shorter than what a replica keeps of a connection. */
const INPUT = new Uint8Array(64 * 1024);
const STATE = new Uint8Array(8);

/** Lengths of both streams, as the peer knows them. */
interface Truth {
  readonly acknowledged: number;
  readonly said: number;
}

/** One member that serves the connection, the stream to its only replica, and that. */
class Generation {
  readonly #owner = new Owner();
  readonly #replica = new Replica();
  readonly #opened: Opened;
  readonly #box: Outbox;
  #said: number;
  #acknowledged: number;

  constructor(opened: Opened, before: Resumed | undefined, told: readonly OwnerMessage[]) {
    this.#opened = opened;
    this.#said = before === undefined ? 0 : lengthOf(before);
    this.#acknowledged = before?.outputOffset ?? 0;
    const made = before?.snapshot?.outputOffset ?? 0;
    const states = before?.snapshot === undefined ? 0 : 1;
    this.#box = new Outbox({ made, delivered: this.#acknowledged, ended: false, states });
    this.#perform(this.#owner.step({ type: "replica-joined", replica: OTHER }));
    for (const message of [opened, ...told]) this.#happened(message);
    this.#progress(this.#acknowledged);
    this.#box.skip(this.#box.missing);
  }

  get truth(): Truth {
    return { acknowledged: this.#acknowledged, said: this.#said };
  }

  #happened(message: OwnerMessage): void {
    this.#perform(this.#owner.step({ type: "happened", message }));
  }

  #progress(outputOffset: number): void {
    const reached = { inputOffset: this.#said, outputOffset };
    this.#happened(progressOf(1, this.#opened, reached, NOW));
  }

  /** Everything comes at once. */
  #perform(effects: readonly OwnerEffect[]): void {
    const messages = effects.flatMap((effect) => (effect.type === "send" ? [effect.message] : []));
    if (messages.length === 0) return;
    for (const effect of this.#replica.step(NOW, { type: "told", owner: MEMBER, messages })) {
      assert.ok(effect.type !== "answer" || effect.message.type === "acknowledged");
    }
  }

  #tell(effects: readonly OutboxEffect[]): void {
    for (const effect of effects) {
      if (effect.type === "tell-progress") this.#progress(effect.outputOffset);
      if (effect.type === "tell-state") {
        this.#happened({ type: "snapshot", connection: 1, snapshot: effect.snapshot });
      }
    }
  }

  /** The peer says something, gets something, and acknowledges a part of what it has got. */
  goOn(prng: Prng): void {
    const bytes = INPUT.subarray(prng.below(1000));
    this.#happened({ type: "input", connection: 1, offset: this.#said, bytes });
    this.#said += bytes.byteLength;
    this.#tell(this.#box.write(OUTPUT.subarray(0, 1 + prng.below(OUTPUT.byteLength - 1))));
    this.#tell(this.#box.state(STATE, this.#said));
    const underway = this.#box.made - this.#acknowledged;
    // what a peer has not acknowledged is never as much as a window can be
    const least = Math.max(0, underway - GIB);
    this.#acknowledged += least + prng.below(underway - least + 1);
    this.#tell(this.#box.acknowledged(this.#acknowledged));
  }

  /** It dies. */
  left(): HeldConnection {
    const [effect] = this.#replica.step(NOW, { type: "take", owner: MEMBER, connection: 1 });
    assert.ok(effect?.type === "resume");
    return effect.connection;
  }
}

const lengthOf = ({ snapshot, input }: Resumed): number =>
  input.reduce((sum, { bytes }) => sum + bytes.byteLength, snapshot?.inputOffset ?? 0);

/** The next owner asks the peer, which answers with 32 bits. */
function asked(held: HeldConnection, opened: Opened, { acknowledged, said }: Truth): Resumed {
  const { sendNext, receiveNext } = opened.essential;
  const acknowledgement = advance(sendNext, acknowledged);
  const resumption = new Resumption(held, 65_536);
  const [probe] = resumption.step(NOW, { type: "begin" });
  assert.ok(probe?.type === "probe");
  const below = distance(probe.segment.sequence, acknowledgement);
  assert.ok(below > 1 && below < 2 ** 30, `${below} below what the peer waits for`);
  assert.equal(probe.segment.acknowledgement, advance(receiveNext, said));
  const [effect] = resumption.step(NOW, {
    type: "peer",
    segment: {
      ...{ sequence: advance(receiveNext, said), acknowledgement, window: 500 },
      ...{ timestamps: { value: 1, echo: 1 }, reset: false },
    },
  });
  assert.ok(effect?.type === "restore");
  return effect.resumed;
}

for (const [name, sendNext, receiveNext] of [
  ["just below the wrap", 0xffff_fffe, 0xffff_ffff],
  ["at the wrap", 0, 0],
  ["in the middle", 0x7fff_fff0, 0x8000_0001],
] as const) {
  test(`A16: beyond 4 GiB in both directions, from numbers ${name}, every takeover goes on at the peer's place`, () => {
    const prng = new Prng(sendNext ^ receiveNext);
    const { essential, ...rest } = openedAs(1);
    const numbers = { sendNext, receiveNext, wl1: receiveNext, wl2: sendNext };
    const receiveAdvertised = advance(receiveNext, 65_536);
    let opened: Opened = { ...rest, essential: { ...essential, ...numbers, receiveAdvertised } };
    let generation = new Generation(opened, undefined, []);
    let takeovers = 0;
    while (generation.truth.acknowledged < 20 * GIB || generation.truth.said < 4.5 * GIB) {
      const steps = 1 + prng.below(2000);
      for (let step = 0; step < steps; step++) generation.goOn(prng);
      const { truth } = generation;
      const held = generation.left();
      const resumed = asked(held, opened, truth);
      assert.equal(resumed.outputOffset, truth.acknowledged);
      assert.equal(lengthOf(resumed), truth.said);
      assert.equal(resumed.essential.sendNext, advance(sendNext, truth.acknowledged));
      assert.equal(resumed.essential.receiveNext, advance(receiveNext, truth.said));
      opened = { ...opened, generation: opened.generation + 1 };
      const told = [...held.log.messages()].filter(({ type }) => type !== "opened");
      generation = new Generation(opened, resumed, told);
      takeovers += 1;
    }
    assert.ok(takeovers > 50, `${takeovers} takeovers`);
  });
}
