// A16: who may not speak asks no peer and believes no answer; what was begun before a node was on its own is not gone on with (docs/adr/0029).
import assert from "node:assert/strict";
import { test } from "node:test";
import { instant } from "#base/time.ts";
import { ConnectionLog } from "#core/takeover/connection-log.ts";
import { openedAs } from "#core/takeover/testing/samples.ts";
import type { HeardEvent } from "#driver/bpf/session-program.ts";
import { Takeovers } from "./takeovers.ts";

function scene() {
  const happened: string[] = [];
  const right = { speaks: false, tenure: 1, isAway: false };
  const time = { ms: 0 };
  const kernel = { isFull: false };
  let tick = (): void => {};
  const clock = {
    now: () => instant(time.ms),
    every: (_ms: number, turn: () => void) => {
      tick = turn;
      return () => (tick = () => {});
    },
    later: () => () => {},
  };
  const takeovers = new Takeovers(clock, {
    right: () => right,
    revoked: () => happened.push("revoked"),
    standIn: () => {
      if (kernel.isFull) throw new Error("no memory");
      return () => happened.push("stand-in gone");
    },
    trouble: (error) => happened.push(error.message),
    probe: () => happened.push("probe"),
    restore: () => happened.push("restored"),
    lost: (_held, reason) => happened.push(`lost: ${reason}`),
  });
  const log = new ConnectionLog(openedAs(1));
  const { key } = log.opened.initial;
  const { essential } = log.opened;
  const answer: HeardEvent = {
    ...{ type: "heard", key, atNs: 0n, packet: undefined, window: 1000, payload: 0 },
    ...{ sequence: essential.receiveNext, acknowledgement: essential.sendNext },
    ...{ timestamps: undefined, syn: false, fin: false, reset: false },
  };
  const run = (ms: number): void => {
    for (const end = time.ms + ms; time.ms < end; time.ms += 10) tick();
  };
  const begin = (final: boolean): void => {
    takeovers.begin({ log, clockAt: instant(0) }, final);
  };
  return { happened, right, kernel, takeovers, answer, run, begin, key };
}

test("A16: without the right to speak a peer is not asked, its segments are not taken for answers, and nothing is given up", () => {
  const { happened, right, takeovers, answer, run, begin, key } = scene();
  begin(false);
  takeovers.heard(answer);
  run(20_000);
  assert.deepEqual(happened, []);
  assert.ok(takeovers.has(key));
  right.speaks = true;
  run(10);
  assert.deepEqual(happened, ["probe"]);
  takeovers.heard(answer);
  assert.deepEqual(happened, ["probe", "stand-in gone", "restored"]);
});

test("A16: a node that has been on its own since goes on only with what it was handed", () => {
  for (const [final, expected] of [
    [false, ["stand-in gone", "revoked"]],
    [true, ["probe"]],
  ] as const) {
    const { happened, right, run, begin } = scene();
    begin(final);
    right.tenure = 2;
    right.speaks = true;
    run(10);
    assert.deepEqual(happened, expected);
  }
});

test("A16: what is another's now stops, but for what this node was handed", () => {
  for (const [final, isOthers, expected] of [
    [false, true, ["stand-in gone", "revoked"]],
    [false, false, ["probe"]],
    [true, true, ["probe"]],
  ] as const) {
    const { happened, right, takeovers, run, begin, key } = scene();
    begin(final);
    takeovers.revoke(() => isOthers);
    assert.equal(takeovers.has(key), expected[0] === "probe");
    right.speaks = true;
    run(10);
    assert.deepEqual(happened, expected);
  }
});

test("A16: where the kernel would not have a stand-in, that is told, and the peer is asked all the same", () => {
  const { happened, right, kernel, takeovers, answer, begin, key } = scene();
  right.speaks = true;
  kernel.isFull = true;
  begin(false);
  takeovers.heard(answer);
  assert.deepEqual(happened, ["no memory", "probe", "restored"]);
  assert.equal(takeovers.abandon(key), false);
});
