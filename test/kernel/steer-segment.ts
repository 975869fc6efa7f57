// A network segment for the steering tests: hosts in namespaces on one bridge, each with eth0, and plain blocking
// TCP sockets in them. Blocking is fine: handshakes and data need only the kernel on the other side.
import assert from "node:assert/strict";
import { ip, ipBytes, mac, type MacAddress } from "#base/address.ts";
import { check, errno, errnoName, inNetns, libc, O_CLOEXEC } from "#driver/libc.ts";
import { run, TestNetns } from "./netns.ts";

const SOL_SOCKET = 1;
const SO_REUSEADDR = 2;
const SO_RCVTIMEO = 20;
const SO_SNDTIMEO = 21;
const POLLOUT = 4;
/** Generous: only a lost packet is ever waited for. */
const TIMEOUT_S = 5n;

export class SteerHost {
  readonly netns: TestNetns;
  readonly mac: MacAddress;

  constructor(netns: TestNetns, address: MacAddress) {
    this.netns = netns;
    this.mac = address;
  }

  run<T>(action: () => T): T {
    return inNetns(this.netns.path, action);
  }

  sysctl(name: string, value: number): void {
    this.netns.exec("sysctl", "-qw", `${name}=${value}`);
  }
}

export class SteerSegment {
  readonly #switch: TestNetns;
  readonly #hosts: SteerHost[] = [];

  constructor(part: string) {
    this.#switch = new TestNetns(`${part}-sw`);
    this.#switch.ip("link", "add", "br0", "type", "bridge");
    this.#switch.ip("link", "set", "br0", "up");
  }

  /** A host with 10.77.0.<number> and fd77::<number>, MAC 02:77:00:00:00:<number>. */
  addHost(part: string, number: number): SteerHost {
    const netns = new TestNetns(`${part}-${number}`);
    const address = mac(`02:77:00:00:00:0${number}`);
    this.#hosts.push(new SteerHost(netns, address));
    const port = `p${number}`;
    const veth = ["link", "add", port, "type", "veth", "peer", "name", "eth0", "netns", netns.name];
    this.#switch.ip(...veth);
    this.#switch.ip("link", "set", port, "master", "br0", "up");
    netns.ip("link", "set", "eth0", "address", address, "up");
    netns.ip("addr", "add", `10.77.0.${number}/24`, "dev", "eth0");
    netns.ip("addr", "add", `fd77::${number}/64`, "dev", "eth0", "nodad");
    return this.#hosts.at(-1) as SteerHost;
  }

  /** Where the switch believes hosts to be: lines of `bridge fdb`. */
  learnedMacs(): string {
    return run("bridge", "-n", this.#switch.name, "fdb", "show", "br", "br0", "dynamic");
  }

  remove(): void {
    for (const { netns } of this.#hosts) netns.remove();
    this.#switch.remove();
  }
}

function socketAddress(address: string, port: number): Buffer {
  const bytes = ipBytes(ip(address));
  const isIpv4 = bytes.byteLength === 4;
  const result = Buffer.alloc(isIpv4 ? 16 : 28);
  result.writeUInt16LE(isIpv4 ? 2 : 10, 0);
  result.writeUInt16BE(port, 2);
  result.set(bytes, isIpv4 ? 4 : 8);
  return result;
}

/** A TCP (type 1) socket of a host, with time limits, so that nothing hangs. */
function openSocket(host: SteerHost, address: string): number {
  const family = address.includes(":") ? 10 : 2;
  const fd = host.run(() => check(libc.socket(family, 1 | O_CLOEXEC, 0), "open a socket"));
  const limit = Buffer.alloc(16);
  limit.writeBigInt64LE(TIMEOUT_S, 0);
  for (const option of [SO_RCVTIMEO, SO_SNDTIMEO]) {
    check(libc.setsockopt(fd, SOL_SOCKET, option, limit, limit.byteLength), "set a time limit");
  }
  return fd;
}

/** Calls again what a signal interrupted: with a time limit set, the kernel does not do so itself. */
function uninterrupted(call: () => number, action: string): number {
  for (;;) {
    const result = call();
    if (result >= 0 || errnoName(errno()) !== "EINTR") return check(result, action);
  }
}

export function listen(host: SteerHost, address: string, port: number): number {
  const fd = openSocket(host, address);
  const one = new Uint8Array(Uint32Array.of(1).buffer);
  check(libc.setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, one, 4), "set SO_REUSEADDR");
  const bytes = socketAddress(address, port);
  check(libc.bind(fd, bytes, bytes.byteLength), `bind to ${address}`);
  check(libc.listen(fd, 64), "listen");
  return fd;
}

/** An interrupted connect goes on by itself; the socket becomes writable when it is through. */
function awaitConnected(fd: number, address: string): void {
  const watched = Buffer.alloc(8);
  watched.writeInt32LE(fd, 0);
  watched.writeInt16LE(POLLOUT, 4);
  const limitMs = Number(TIMEOUT_S) * 1000;
  const ready = uninterrupted(() => libc.poll(watched, 1, limitMs), "wait for a connection");
  assert.equal(ready, 1, `connect to ${address} took too long`);
}

export function connect(host: SteerHost, address: string, port: number): number {
  const fd = openSocket(host, address);
  const bytes = socketAddress(address, port);
  const result = libc.connect(fd, bytes, bytes.byteLength);
  if (result < 0 && errnoName(errno()) === "EINTR") awaitConnected(fd, address);
  else check(result, `connect to ${address}`);
  return fd;
}

export const accept = (listener: number): number =>
  uninterrupted(() => libc.accept4(listener, null, null, O_CLOEXEC), "accept a connection");

/** Sends a text one way over an established connection and answers what arrived. */
export function carry(from: number, to: number, text: string): string {
  const bytes = Buffer.from(text);
  uninterrupted(() => libc.send(from, bytes, bytes.byteLength, 0), "send");
  const buffer = Buffer.alloc(bytes.byteLength);
  let got = 0;
  while (got < bytes.byteLength) {
    const rest = buffer.subarray(got);
    const count = uninterrupted(() => libc.recv(to, rest, rest.byteLength, 0), "receive");
    if (count === 0) break;
    got += count;
  }
  return buffer.toString("utf8", 0, got);
}
