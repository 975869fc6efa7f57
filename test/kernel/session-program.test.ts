// A16: what the session program does on real connections, in both families: nothing is acknowledged before it is committed, a process
// that dies ends nothing, and a connection whose machine is gone goes on elsewhere from nothing but its record.
import assert from "node:assert/strict";
import { after, before, test } from "node:test";
import { advance } from "#base/sequence.ts";
import { instant } from "#base/time.ts";
import { ConnectionLog } from "#core/takeover/connection-log.ts";
import {
  Resumption,
  type ResumptionEffect,
  type ResumptionInput,
} from "#core/takeover/resumption.ts";
import { netdev } from "#driver/bpf/netdev.ts";
import {
  type OpenedEvent,
  type SessionEvent,
  SessionProgram,
} from "#driver/bpf/session-program.ts";
import { inNetns, libc } from "#driver/libc.ts";
import { openedMessage } from "#driver/tcp/opened.ts";
import { RawPackets } from "#driver/tcp/raw-packets.ts";
import { leaveRepair, restore } from "#driver/tcp/restore.ts";
import { readQueued } from "#driver/tcp/socket-options.ts";
import { bareSegment } from "#wire/takeover/bare-segment.ts";
import {
  accept,
  arrived,
  FAMILIES,
  read,
  RepairSegment,
  until,
  VIPS,
  write,
} from "./repair-segment.ts";

const PORT = 7100;
const SIOCOUTQ = 0x5411;
const FREE_BUFFER = 65_535;
let segment: RepairSegment;
let owner: SessionProgram;
let standby: SessionProgram;
const seen: Record<"owner" | "standby", SessionEvent[]> = { owner: [], standby: [] };

before(() => {
  segment = new RepairSegment("session");
  owner = inNetns(segment.first.path, () =>
    SessionProgram.attach(netdev("e0"), (events) => seen.owner.push(...events)),
  );
  standby = inNetns(segment.second.path, () =>
    SessionProgram.attach(netdev("e0"), (events) => seen.standby.push(...events)),
  );
});

after(() => {
  inNetns(segment.first.path, () => owner.detach());
  inNetns(segment.second.path, () => standby.detach());
  segment.remove();
});

/** The event of the next connection's SYN-ACK. */
async function opened(before: number): Promise<OpenedEvent> {
  await until(() => seen.owner.length > before);
  const event = seen.owner[before];
  assert.ok(event?.type === "opened");
  return event;
}

/** The new owner's side, until the connection is restored; answers its descriptor. */
async function takeOver(event: OpenedEvent, input: string, raw: RawPackets): Promise<number> {
  const log = new ConnectionLog(openedMessage(1, event));
  log.apply({ type: "input", connection: 1, offset: 0, bytes: Buffer.from(input) });
  const now = (): ReturnType<typeof instant> => instant(performance.now());
  const resumption = new Resumption({ log, clockAt: now() }, FREE_BUFFER);
  let fd = -1;
  const perform = (effects: ResumptionEffect[]): void => {
    for (const effect of effects) {
      assert.notEqual(effect.type, "lost");
      if (effect.type === "probe") {
        const { timestamp, ...probe } = effect.segment;
        const timestamps = timestamp === undefined ? undefined : { value: timestamp, echo: 0 };
        raw.send(probe.key.peer, bareSegment({ ...probe, window: 0, timestamps, garbage: true }));
      } else if (effect.type === "restore") {
        fd = inNetns(segment.second.path, () => restore(effect.resumed));
        standby.release(event.key);
        leaveRepair(fd);
      }
    }
  };
  const step = (given: ResumptionInput): void => perform(resumption.step(now(), given));
  let next = seen.standby.length;
  step({ type: "begin" });
  await until(() => {
    const heard = seen.standby.slice(next);
    next += heard.length;
    for (const event of heard) if (event.type === "heard") step({ type: "peer", segment: event });
    step({ type: "tick" });
    return fd >= 0;
  });
  return fd;
}

for (const family of FAMILIES) {
  const vip = VIPS[family];

  test(`A16: IPv${family}: bytes of the peer are acknowledged when they are committed, and not before`, async () => {
    segment.give(segment.first, vip);
    owner.protect(vip, PORT);
    const listener = segment.listen(segment.first, vip, PORT);
    const count = seen.owner.length;
    const client = segment.connect(vip, PORT);
    const event = await opened(count);
    assert.deepEqual([event.key.vip, event.key.port], [vip, PORT]);
    assert.ok(event.timestamps && event.sack && event.scaling && event.mss > 1000);
    const server = accept(listener);
    client.socket.write("hello");
    await arrived(server, 5);
    // What the server says meanwhile gets through, without an acknowledgement.
    write(server, "early");
    assert.equal(await read(client.socket, 5), "early");
    assert.equal(readQueued(client.fd, SIOCOUTQ), 5, "five bytes are not acknowledged");

    const committed = advance(event.receiveNext, 5);
    owner.control(event.key, { clamp: true, guard: true, shield: false, mute: false, committed });
    write(server, "!");
    await until(() => readQueued(client.fd, SIOCOUTQ) === 0);
    const wire = owner.wire(event.key);
    assert.ok(wire !== undefined && wire.clamped > 0);
    assert.equal(wire.lastAcknowledgement, committed);

    owner.release(event.key);
    libc.close(server);
    libc.close(listener);
    client.socket.destroy();
    segment.take(segment.first, vip);
  });

  test(`A16: IPv${family}: the machine is gone, and the connection goes on at another from its record`, async () => {
    segment.give(segment.first, vip);
    owner.protect(vip, PORT);
    const listener = segment.listen(segment.first, vip, PORT);
    const count = seen.owner.length;
    const client = segment.connect(vip, PORT);
    const event = await opened(count);
    const server = accept(listener);
    client.socket.write("ask");
    await arrived(server, 3);
    const committed = advance(event.receiveNext, 3);
    owner.control(event.key, { clamp: true, guard: true, shield: false, mute: false, committed });
    standby.hold(event.key, {
      clamp: false,
      guard: false,
      shield: true,
      mute: false,
      committed,
    });
    write(server, "0123456789");
    assert.equal(await read(client.socket, 10), "0123456789");

    // The process dies: neither FIN nor RST reaches the client. Then so does its machine.
    libc.close(server);
    libc.close(listener);
    await until(() => (owner.wire(event.key)?.guarded ?? 0) > 0);
    segment.cutFirst(true);
    segment.take(segment.first, vip);
    segment.give(segment.second, vip);

    const raw = inNetns(segment.second.path, () => new RawPackets());
    const fd = await takeOver(event, "ask", raw);
    write(fd, "and on");
    assert.equal(await read(client.socket, 6), "and on");
    client.socket.write("more");
    await arrived(fd, 4);
    assert.equal(client.socket.destroyed, false);

    raw.close();
    libc.close(fd);
    client.socket.destroy();
    owner.release(event.key);
    segment.take(segment.second, vip);
    segment.cutFirst(false);
  });
}
