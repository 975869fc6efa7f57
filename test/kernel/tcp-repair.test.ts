// A16, A8: a TCP connection is read out of one machine's kernel and goes on in another's, while its client notices nothing: both
// families, with bytes in every queue. Three namespaces on one bridge; the client is an ordinary socket.
import assert from "node:assert/strict";
import { once } from "node:events";
import net from "node:net";
import { after, before, test } from "node:test";
import { type Family, familyOf, ip, type IpAddress } from "#base/address.ts";
import { check, inNetns, libc } from "#driver/libc.ts";
import { dump, freeze, thaw } from "#driver/tcp/dump.ts";
import { leaveRepair, restore } from "#driver/tcp/restore.ts";
import * as option from "#driver/tcp/socket-options.ts";
import { TestNetns } from "./netns.ts";

const PORT = 7000;
const VIPS: Readonly<Record<Family, IpAddress>> = { 4: ip("10.9.0.100"), 6: ip("fd00:9::100") };
const PREFIX: Readonly<Record<Family, number>> = { 4: 24, 6: 64 };
const FAMILIES: readonly Family[] = [4, 6];

let client: TestNetns;
let first: TestNetns;
let second: TestNetns;

/** A machine on the client's bridge. */
function plug(machine: TestNetns, port: string): void {
  client.ip("link", "add", port, "type", "veth", "peer", "name", "e0", "netns", machine.name);
  client.ip("link", "set", port, "master", "br0", "up");
  machine.ip("link", "set", "e0", "up");
}

before(() => {
  client = new TestNetns("repair-c");
  first = new TestNetns("repair-a");
  second = new TestNetns("repair-b");
  client.ip("link", "add", "br0", "type", "bridge");
  client.ip("link", "set", "br0", "up");
  client.ip("addr", "add", "10.9.0.1/24", "dev", "br0");
  client.ip("addr", "add", "fd00:9::1/64", "dev", "br0", "nodad");
  plug(first, "pa");
  plug(second, "pb");
});

after(() => {
  for (const machine of [first, second, client]) machine.remove();
});

/** The address is this machine's from now on, for the machine and for the client. */
function give(machine: TestNetns, vip: IpAddress): void {
  machine.ip("addr", "add", `${vip}/${PREFIX[familyOf(vip)]}`, "dev", "e0", "nodad");
  const [, mac] = /link\/ether (\S+)/.exec(machine.ip("link", "show", "e0")) ?? [];
  client.ip("neigh", "replace", vip, "lladdr", mac ?? "", "dev", "br0", "nud", "permanent");
}

const take = (machine: TestNetns, vip: IpAddress): string =>
  machine.ip("addr", "del", `${vip}/${PREFIX[familyOf(vip)]}`, "dev", "e0");

const domainOf = (vip: IpAddress): number =>
  familyOf(vip) === 4 ? option.AF_INET : option.AF_INET6;

function listen(machine: TestNetns, vip: IpAddress): number {
  return inNetns(machine.path, () => {
    const fd = check(libc.socket(domainOf(vip), option.SOCK_STREAM, 0), "make a socket");
    const address = option.socketAddress(vip, PORT);
    check(libc.bind(fd, address, address.byteLength), "bind");
    check(libc.listen(fd, 8), "listen");
    return fd;
  });
}

/** An ordinary client, connected. */
function connect(vip: IpAddress): net.Socket {
  const fd = inNetns(client.path, () => {
    const socket = check(libc.socket(domainOf(vip), option.SOCK_STREAM, 0), "make a socket");
    const address = option.socketAddress(vip, PORT);
    check(libc.connect(socket, address, address.byteLength), "connect");
    return socket;
  });
  return new net.Socket({ fd, readable: true, writable: true });
}

const accept = (listener: number): number =>
  check(libc.accept4(listener, null, null, option.SOCK_NONBLOCK), "accept");

async function read(socket: net.Socket, length: number): Promise<string> {
  let text = "";
  while (text.length < length) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    text += chunk.toString();
  }
  return text;
}

function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  assert.equal(libc.send(fd, bytes, bytes.length, 0), bytes.length);
}

/** Waits for what the kernel has, without taking it out. */
async function arrived(fd: number, length: number): Promise<void> {
  const buffer = new Uint8Array(length);
  for (;;) {
    if (libc.recv(fd, buffer, length, 2 | 0x40) === length) return;
    await new Promise((resolve) => setTimeout(resolve, 5));
  }
}

for (const family of FAMILIES) {
  test(`A16: IPv${family}: a connection with bytes in every queue goes on at another machine`, async () => {
    const vip = VIPS[family];
    give(first, vip);
    const listener = listen(first, vip);
    const socket = connect(vip);
    const old = accept(listener);
    write(old, "hello ");
    assert.equal(await read(socket, 6), "hello ");
    socket.write("unread");
    await arrived(old, 6);
    // What is written while the client hears nothing stays in flight.
    client.ip("link", "set", "pa", "down");
    write(old, "in flight ");

    const state = inNetns(first.path, () => {
      freeze(old);
      const read = dump(old, performance.now());
      libc.close(old);
      libc.close(listener);
      return read;
    });
    assert.equal(Buffer.from(state.unread).toString(), "unread");
    assert.equal(Buffer.from(state.inFlight).toString(), "in flight ");
    assert.deepEqual([state.initial.key.vip, state.initial.key.port], [vip, PORT]);
    assert.ok(state.essential.flags.timestampsReceived && state.essential.flags.sackPermitted);

    take(first, vip);
    give(second, vip);
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

    const again = inNetns(second.path, () => {
      freeze(fd);
      return dump(fd, performance.now());
    });
    assert.equal(again.initial.mss, state.initial.mss);
    assert.equal(again.essential.sendScale, state.essential.sendScale);
    assert.equal(again.essential.receiveScale, state.essential.receiveScale);
    thaw(fd);
    const server = new net.Socket({ fd, readable: true, writable: true });
    assert.equal(await read(server, 11), "unread more");
    socket.end();
    await once(server, "end");
    server.destroy();
    client.ip("link", "set", "pa", "up");
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
    inNetns(second.path, () => restore({ initial, essential, timestamp: undefined }));
  assert.throws(attempt, /Cannot use 10\.9\.0\.200 for a restored connection: EADDRNOTAVAIL/);
});
