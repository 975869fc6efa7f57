// A16: what becomes of a connection that is given up, or over, at a process that took it over: nothing stays, and its peer hears all it is owed.
import assert from "node:assert/strict";
import { Duplex } from "node:stream";
import { test } from "node:test";
import { nodeId } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { openedAs } from "#core/takeover/testing/samples.ts";
import type { HeardEvent, SessionWire } from "#driver/bpf/session-program.ts";
import type { OwnerMessage } from "#wire/takeover/message.ts";
import { Engine } from "./engine.ts";
import type { Session } from "./session.ts";
import { readBareSegment } from "./simulation/kernel.ts";
import type { SessionSocket } from "./sockets.ts";

const [DEAD, OTHER] = [nodeId(2), nodeId(3)];
const opened = openedAs(1);
const { key } = opened.initial;
const { essential } = opened;

/** A socket that nothing comes to, but what a test pushes. */
class Silent extends Duplex {
  bytesWritten = 0;
  override _read(): void {}
  override _write(_chunk: unknown, _encoding: unknown, done: () => void): void {
    done();
  }
  resetAndDestroy(): void {}
  setNoDelay(): void {}
  setKeepAlive(): void {}
}

function scene() {
  const did: string[] = [];
  const told: OwnerMessage[] = [];
  const acknowledged: number[] = [];
  const sessions: Session[] = [];
  const socket: SessionSocket = new Silent({ allowHalfOpen: true });
  const wire: SessionWire = {
    ...{ lastAcknowledgement: essential.receiveNext, lastWindow: 100, lastSequenceEnd: 1 },
    ...{ lastTimestamp: 0, lastEcho: 0, held: 1, clamped: 0, guarded: 0, shielded: 0, silenced: 0 },
  };
  const engine = new Engine({
    program: {
      control: (_key, { clamp }) => void did.push(`clamp ${clamp}`),
      hold: () => void did.push("hold"),
      release: () => void did.push("release"),
      wire: () => wire,
      right: () => ({ speaks: true, tenure: 1, isAway: false }),
    },
    raw: {
      send: (_to, packet) => {
        const segment = readBareSegment(packet);
        acknowledged.push(segment.acknowledgement);
      },
    },
    links: {
      tell: (_to, message) => void (message.type !== "wanted" && told.push(message)),
      answer: () => {},
      isCurrent: () => true,
    },
    sockets: {
      standIn: () => () => {},
      restore: () => ({ socket, begin: () => {} }),
      closeSilently: (each) => void each.destroy(),
      unacknowledged: () => 0,
      linger: () => undefined,
    },
    clock: { now: () => instant(0), every: () => () => {}, later: () => () => {} },
    onSession: (session) => void sessions.push(session),
    trouble: (error) => assert.fail(error),
  });
  /** The peer says where it stands. */
  const answers = (acknowledgement: number): void => {
    const segment: HeardEvent = {
      ...{ type: "heard", key, atNs: 0n, packet: undefined, window: 1000, payload: 0 },
      ...{ sequence: essential.receiveNext, acknowledgement },
      ...{ timestamps: undefined, syn: false, fin: false, reset: false },
    };
    engine.told([segment]);
  };
  return { engine, did, told, acknowledged, sessions, socket, answers };
}

for (const when of ["asks its peer", "waits for its replicas"] as const) {
  test(`A16: of a connection that is another's after all while this process ${when} nothing stays when that one has ended it`, () => {
    const { engine, did, answers } = scene();
    // one that does not answer: what is taken over does not begin
    engine.replicaChanged(nodeId(4), true);
    engine.heard(DEAD, [opened, { type: "input", connection: 1, offset: 0, bytes: Buffer.of(1) }]);
    engine.takeOver(DEAD, () => true);
    if (when === "waits for its replicas") answers(essential.sendNext);
    engine.heard(OTHER, [{ ...openedAs(7), generation: 2 }]);
    did.length = 0;
    engine.heard(OTHER, [{ type: "closed", connection: 7 }]);
    assert.deepEqual(did, ["release"]);
    engine.close();
  });
}

test("A16: a peer that has our end, and whose own end comes to the next owner, hears that it has come, though its replicas have not said so", async () => {
  const { engine, did, told, acknowledged, sessions, socket, answers } = scene();
  const replica = nodeId(4);
  engine.replicaChanged(replica, true);
  engine.heard(DEAD, [opened, { type: "output-ended", connection: 1, offset: 0 }]);
  engine.takeOver(DEAD, () => true);
  answers(essential.sendNext + 1);
  engine.answered(replica, { type: "acknowledged", messages: told.length });
  const [session] = sessions;
  assert.ok(session, "it has begun");
  acknowledged.length = 0;
  socket.push(null);
  await new Promise((resolve) => session.once("close", resolve));
  assert.deepEqual(acknowledged, [essential.receiveNext + 1]);
  assert.deepEqual(did.slice(-2), ["clamp false", "release"], "it passes, and then all is over");
  engine.close();
});
