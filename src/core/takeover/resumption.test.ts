// A16: how a new owner finds out where a connection stands, and at which numbers it goes on.
import assert from "node:assert/strict";
import { test } from "node:test";
import { advance } from "#base/sequence.ts";
import { instant } from "#base/time.ts";
import { ConnectionLog, type LogMessage } from "./connection-log.ts";
import { type PeerSegment, Resumption, type ResumptionEffect } from "./resumption.ts";
import { essential, openedAs, progressOf, RECEIVE_BASE, SEND_BASE } from "./testing/samples.ts";

const FREE = 65_536;
const HEARD_AT = instant(1000);

function begun(...messages: LogMessage[]): { resumption: Resumption; first: ResumptionEffect[] } {
  const log = new ConnectionLog(openedAs(1));
  for (const message of messages) assert.ok(log.apply(message));
  const resumption = new Resumption({ log, clockAt: HEARD_AT }, FREE);
  return { resumption, first: resumption.step(instant(3000), { type: "begin" }) };
}

const GET: LogMessage = {
  type: "input",
  connection: 1,
  offset: 0,
  bytes: new TextEncoder().encode("GET /\r\n\r\n"),
};

const segment = (fields: Partial<PeerSegment>): PeerSegment => ({
  sequence: advance(RECEIVE_BASE, 9),
  acknowledgement: advance(SEND_BASE, 100_000),
  window: 500,
  timestamps: { value: 77, echo: 5100 },
  reset: false,
  ...fields,
});

const restored = (effects: readonly ResumptionEffect[]) => {
  const [effect] = effects;
  assert.ok(effect?.type === "restore");
  return effect.resumed;
};

test("A16: the peer is asked by a byte just below its window, acknowledging what the replicas hold", () => {
  const { first } = begun(GET);
  assert.deepEqual(first, [
    {
      type: "probe",
      segment: {
        key: openedAs(1).initial.key,
        sequence: advance(SEND_BASE, -2),
        acknowledgement: advance(RECEIVE_BASE, 9),
        // The owner's clock showed 5000 two seconds ago; a minute ahead, or the peer says nothing.
        timestamp: 5000 + 2000 + 60_000,
      },
    },
  ]);
});

test("A16: the connection goes on at the peer's own numbers", () => {
  const { resumption } = begun(GET);
  const resumed = restored(resumption.step(instant(3001), { type: "peer", segment: segment({}) }));
  assert.equal(resumed.outputOffset, 100_000);
  assert.equal(resumed.finAcknowledged, false);
  assert.deepEqual(resumed.essential, {
    ...essential,
    sendNext: advance(SEND_BASE, 100_000),
    wl1: advance(RECEIVE_BASE, 9),
    wl2: advance(SEND_BASE, 100_000),
    sendWindow: 500 << 7,
    receiveNext: advance(RECEIVE_BASE, 9),
    receiveAdvertised: advance(RECEIVE_BASE, 9 + FREE),
    recentTimestamp: 77,
  });
  assert.equal(resumed.calculable.sendUnacknowledged, advance(SEND_BASE, 100_000));
  assert.equal(resumed.calculable.receiveWindow, FREE);
  assert.equal(resumption.deadline, undefined);
});

test("A16: a peer that has sent far ahead of what the record holds is taken over all the same", () => {
  const { resumption } = begun(GET);
  const ahead = segment({ sequence: advance(RECEIVE_BASE, 9 + 10 * FREE) });
  const { essential: is } = restored(
    resumption.step(instant(3001), { type: "peer", segment: ahead }),
  );
  // The kernel refuses a wl1 beyond the window.
  assert.deepEqual([is.wl1, is.receiveNext], [is.receiveNext, advance(RECEIVE_BASE, 9)]);
});

test("A16: timestamps never go back, also where the owner's clock ran faster than this node's", () => {
  const { resumption } = begun(GET);
  const fast = segment({ timestamps: { value: 77, echo: 9000 } });
  const resumed = restored(resumption.step(instant(3001), { type: "peer", segment: fast }));
  assert.equal(resumed.timestamp, 9001);
});

test("A16: beyond 4 GiB an offset is found from the last progress", () => {
  const far = 5 * 2 ** 32;
  const place = { ...essential, wl2: advance(SEND_BASE, far) };
  const { resumption, first } = begun(
    GET,
    progressOf(1, { outputOffset: far, inputOffset: 9, essential: place }),
  );
  const [probe] = first;
  assert.ok(probe?.type === "probe");
  assert.equal(probe.segment.sequence, advance(SEND_BASE, far - 2));
  const ahead = segment({ acknowledgement: advance(SEND_BASE, far + 2 ** 28) });
  const resumed = restored(resumption.step(instant(3001), { type: "peer", segment: ahead }));
  assert.equal(resumed.outputOffset, far + 2 ** 28);
});

test("A16: FINs in both directions: the peer's counts in what is acknowledged, ours is not sent twice", () => {
  const ends: LogMessage[] = [
    GET,
    { type: "input-ended", connection: 1, offset: 9 },
    { type: "output-ended", connection: 1, offset: 500 },
  ];
  const { resumption } = begun(...ends);
  const done = segment({ acknowledgement: advance(SEND_BASE, 501) });
  const resumed = restored(resumption.step(instant(3001), { type: "peer", segment: done }));
  assert.equal(resumed.essential.receiveNext, advance(RECEIVE_BASE, 10));
  assert.deepEqual(
    [resumed.inputEnded, resumed.outputEnd, resumed.outputOffset, resumed.finAcknowledged],
    [true, 500, 500, true],
  );
});

test("A16: a peer that is gone, or silent, ends the attempt; an old segment of it does not", () => {
  const old = segment({ acknowledgement: advance(SEND_BASE, -5) });
  const { resumption } = begun(GET);
  assert.deepEqual(resumption.step(instant(3001), { type: "peer", segment: old }), []);
  const reset = segment({ reset: true });
  assert.deepEqual(resumption.step(instant(3002), { type: "peer", segment: reset }), [
    { type: "lost", reason: "reset" },
  ]);
  const { resumption: unheard } = begun(GET);
  const seen: ResumptionEffect[] = [];
  for (let guard = 0; guard < 50 && unheard.deadline !== undefined; guard++) {
    seen.push(...unheard.step(unheard.deadline, { type: "tick" }));
  }
  assert.equal(seen.filter(({ type }) => type === "probe").length, 17);
  assert.deepEqual(seen.at(-1), { type: "lost", reason: "silent" });
});

test("A16: what the peer says before this node is to take over does not matter", () => {
  const log = new ConnectionLog(openedAs(1));
  const resumption = new Resumption({ log, clockAt: HEARD_AT }, FREE);
  assert.deepEqual(resumption.step(instant(1), { type: "peer", segment: segment({}) }), []);
  assert.equal(resumption.deadline, undefined);
});
