// A16, A8: a TCP connection is read out of one machine's kernel and goes on in another's, while its client notices nothing: both
// families, with bytes in every queue. The client is an ordinary socket.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, test } from "node:test";
import { ip } from "#base/address.ts";
import { inNetns, libc } from "#driver/libc.ts";
import { dump, freeze, thaw } from "#driver/tcp/dump.ts";
import { leaveRepair, restore } from "#driver/tcp/restore.ts";
import { accept, arrived, FAMILIES, read, RepairSegment, VIPS, write } from "./repair-segment.ts";

const PORT = 7000;
let segment: RepairSegment;

before(() => {
  segment = new RepairSegment("repair");
});

after(() => segment.remove());

for (const family of FAMILIES) {
  test(`A16: IPv${family}: a connection with bytes in every queue goes on at another machine`, async () => {
    const vip = VIPS[family];
    const { first, second } = segment;
    segment.give(first, vip);
    const listener = segment.listen(first, vip, PORT);
    const { socket } = segment.connect(vip, PORT);
    const old = accept(listener);
    write(old, "hello ");
    assert.equal(await read(socket, 6), "hello ");
    socket.write("unread");
    await arrived(old, 6);
    // What is written while the client hears nothing stays in flight.
    segment.cutFirst(true);
    write(old, "in flight ");

    const state = inNetns(first.path, () => {
      freeze(old);
      const dumped = dump(old, performance.now());
      libc.close(old);
      libc.close(listener);
      return dumped;
    });
    assert.equal(Buffer.from(state.unread).toString(), "unread");
    assert.equal(Buffer.from(state.inFlight).toString(), "in flight ");
    assert.deepEqual([state.initial.key.vip, state.initial.key.port], [vip, PORT]);
    assert.ok(state.essential.flags.timestampsReceived && state.essential.flags.sackPermitted);

    segment.take(first, vip);
    segment.give(second, vip);
    const fd = inNetns(second.path, () => {
      const restored = restore({ ...state, timestamp: state.clock.value + 1 });
      leaveRepair(restored);
      return restored;
    });
    await arrived(fd, 6);
    write(fd, "and on");
    assert.equal(await read(socket, 16), "in flight and on");
    socket.write(" more");
    await arrived(fd, 11);

    freeze(fd);
    const again = dump(fd, performance.now());
    thaw(fd);
    assert.equal(again.initial.mss, state.initial.mss);
    assert.equal(again.essential.sendScale, state.essential.sendScale);
    assert.equal(again.essential.receiveScale, state.essential.receiveScale);
    const server = new net.Socket({ fd, readable: true, writable: true });
    assert.equal(await read(server, 11), "unread more");
    socket.end();
    await once(server, "end");
    server.destroy();
    segment.take(second, vip);
    segment.cutFirst(false);
  });
}

test("A16: what cannot be restored says why, and leaves no socket", () => {
  const foreign = { vip: ip("10.9.0.200"), port: 1, peer: ip("10.9.0.1"), peerPort: 2 };
  const flags = {
    noDelay: false,
    noOptions: true,
    windowScalingRequested: false,
    windowScalingReceived: false,
    timestampsRequested: false,
    timestampsReceived: false,
    sackPermitted: false,
  };
  const essential = {
    flags,
    sendNext: 1,
    wl1: 1,
    wl2: 1,
    sendWindow: 1000,
    receiveNext: 1,
    receiveAdvertised: 1001,
    sendScale: 0,
    receiveScale: 0,
    recentTimestamp: 0,
  };
  const initial = { key: foreign, mss: 1460, mssWithOptions: 1460 };
  const attempt = (): number =>
    inNetns(segment.second.path, () => restore({ initial, essential, timestamp: undefined }));
  assert.throws(attempt, /Cannot use 10\.9\.0\.200 for a restored connection: EADDRNOTAVAIL/);
});
