// A16: a SYN-ACK that was told and a socket that was accepted find each other, whichever comes first, and neither is waited for for ever.
import assert from "node:assert/strict";
import { PassThrough } from "node:stream";
import { test } from "node:test";
import { ip } from "#base/address.ts";
import { instant } from "#base/time.ts";
import type { OpenedEvent } from "#driver/bpf/session-program.ts";
import { Handshakes } from "./handshakes.ts";
import type { SessionSocket } from "./sockets.ts";

const keyOf = (peerPort: number) => ({
  ...{ vip: ip("10.0.0.100"), port: 80, peer: ip("192.0.2.7"), peerPort },
});
const eventOf = (peerPort: number): OpenedEvent => ({
  ...{ type: "opened", key: keyOf(peerPort), atNs: 0n, sendNext: 1, receiveNext: 2 },
  ...{ timestamp: 0, window: 1000, mss: 1460, timestamps: false, sack: false },
  ...{ scaling: false, sendScale: 0, receiveScale: 0 },
});
const socket = (): SessionSocket =>
  Object.assign(new PassThrough(), {
    ...{ bytesWritten: 0, resetAndDestroy: () => {} },
    ...{ setNoDelay: () => {}, setKeepAlive: () => {} },
  });

function scene() {
  const happened: string[] = [];
  const time = { ms: 0 };
  const due: (() => void)[] = [];
  const clock = {
    now: () => instant(time.ms),
    every: () => () => {},
    later: (_ms: number, turn: () => void) => {
      due.push(turn);
      return () => {};
    },
  };
  const handshakes = new Handshakes(clock, {
    accepted: ({ key }) => happened.push(`accepted ${key.peerPort}`),
    neverAccepted: ({ peerPort }) => happened.push(`never accepted ${peerPort}`),
    neverTold: ({ peerPort }) => happened.push(`never told ${peerPort}`),
  });
  const sweepAt = (ms: number): string[] => {
    time.ms = ms;
    handshakes.sweep();
    return happened.splice(0);
  };
  /** The next of its timers ends. */
  const turn = (): string[] => {
    for (const each of due.splice(0)) each();
    return happened.splice(0);
  };
  return { handshakes, happened, sweepAt, turn };
}

test("A16: the SYN-ACK or the socket may come first; both together begin a session, once", () => {
  const { handshakes, happened, sweepAt } = scene();
  handshakes.begun(eventOf(1));
  handshakes.accepted(keyOf(2), socket());
  assert.deepEqual(happened, []);
  handshakes.accepted(keyOf(1), socket());
  handshakes.begun(eventOf(2));
  assert.deepEqual(happened.splice(0), ["accepted 1", "accepted 2"]);
  assert.deepEqual(sweepAt(60_000), [], "nothing is left of them");
});

test("A16: a flood of SYNs leaves nothing behind after ten seconds; what was forgotten before is not named", () => {
  const { handshakes, sweepAt } = scene();
  handshakes.begun(eventOf(1));
  handshakes.begun(eventOf(2));
  handshakes.forget(keyOf(2));
  assert.deepEqual(sweepAt(9999), []);
  assert.deepEqual(sweepAt(10_000), ["never accepted 1"]);
  assert.deepEqual(sweepAt(20_000), []);
});

test("A16: a socket of whose SYN-ACK nothing is told is served after five looks, however late the first of them is", () => {
  const { handshakes, sweepAt, turn } = scene();
  handshakes.accepted(keyOf(1), socket());
  handshakes.accepted(keyOf(2), socket());
  assert.deepEqual(sweepAt(60_000), [], "the process stood still: what was told is read now");
  assert.deepEqual(turn(), []);
  handshakes.begun(eventOf(2));
  assert.deepEqual([...turn(), ...turn(), ...turn()], ["accepted 2"]);
  assert.deepEqual(turn(), ["never told 1"]);
  assert.deepEqual([...turn(), ...turn()], [], "nothing is left of it");
});
