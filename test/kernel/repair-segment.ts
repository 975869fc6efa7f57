// A client and two machines on one bridge, for tests of connections that move; and the plain sockets of such tests.
import { once } from "node:events";
import net from "node:net";
import { type Family, familyOf, ip, type IpAddress } from "#base/address.ts";
import { check, inNetns, libc } from "#driver/libc.ts";
import { AF_INET, AF_INET6, SOCK_NONBLOCK, SOCK_STREAM } from "#driver/sockets.ts";
import * as option from "#driver/tcp/socket-options.ts";
import { TestNetns } from "./netns.ts";

export const VIPS: Readonly<Record<Family, IpAddress>> = {
  4: ip("10.9.0.100"),
  6: ip("fd00:9::100"),
};
export const FAMILIES: readonly Family[] = [4, 6];
const PREFIX: Readonly<Record<Family, number>> = { 4: 24, 6: 64 };
const MSG_PEEK = 2;
const MSG_DONTWAIT = 0x40;
const POLL_MS = 5;

const domainOf = (vip: IpAddress): number => (familyOf(vip) === 4 ? AF_INET : AF_INET6);

export class RepairSegment {
  readonly client: TestNetns;
  readonly first: TestNetns;
  readonly second: TestNetns;

  /** @param part for names that no other test uses */
  constructor(part: string) {
    this.client = new TestNetns(`${part}-c`);
    this.first = new TestNetns(`${part}-a`);
    this.second = new TestNetns(`${part}-b`);
    this.client.ip("link", "add", "br0", "type", "bridge");
    this.client.ip("link", "set", "br0", "up");
    this.client.ip("addr", "add", "10.9.0.1/24", "dev", "br0");
    this.client.ip("addr", "add", "fd00:9::1/64", "dev", "br0", "nodad");
    this.#plug(this.first, "pa");
    this.#plug(this.second, "pb");
  }

  #plug(machine: TestNetns, port: string): void {
    const { client } = this;
    client.ip("link", "add", port, "type", "veth", "peer", "name", "e0", "netns", machine.name);
    client.ip("link", "set", port, "master", "br0", "up");
    machine.ip("link", "set", "e0", "up");
  }

  /** The first machine is cut off from everyone, or is not any more. */
  cutFirst(isCut: boolean): void {
    this.client.ip("link", "set", "pa", isCut ? "down" : "up");
  }

  /** The address is this machine's from now on, for the machine and for the client. */
  give(machine: TestNetns, vip: IpAddress): void {
    machine.ip("addr", "add", `${vip}/${PREFIX[familyOf(vip)]}`, "dev", "e0", "nodad");
    const [, mac] = /link\/ether (\S+)/.exec(machine.ip("link", "show", "e0")) ?? [];
    this.client.ip("neigh", "replace", vip, "lladdr", mac ?? "", "dev", "br0", "nud", "permanent");
  }

  take(machine: TestNetns, vip: IpAddress): void {
    machine.ip("addr", "del", `${vip}/${PREFIX[familyOf(vip)]}`, "dev", "e0");
  }

  /** Descriptor of a listening socket on a machine. */
  listen(machine: TestNetns, vip: IpAddress, port: number): number {
    return inNetns(machine.path, () => {
      const fd = check(libc.socket(domainOf(vip), SOCK_STREAM, 0), "make a socket");
      const address = option.socketAddress(vip, port);
      check(libc.bind(fd, address, address.byteLength), "bind");
      check(libc.listen(fd, 8), "listen");
      return fd;
    });
  }

  /** An ordinary client, connected; and its descriptor. */
  connect(vip: IpAddress, port: number): { readonly socket: net.Socket; readonly fd: number } {
    const fd = inNetns(this.client.path, () => {
      const made = check(libc.socket(domainOf(vip), SOCK_STREAM, 0), "make a socket");
      const address = option.socketAddress(vip, port);
      check(libc.connect(made, address, address.byteLength), "connect");
      return made;
    });
    return { socket: new net.Socket({ fd, readable: true, writable: true }), fd };
  }

  remove(): void {
    for (const machine of [this.first, this.second, this.client]) machine.remove();
  }
}

export const accept = (listener: number): number =>
  check(libc.accept4(listener, null, null, SOCK_NONBLOCK), "accept");

export async function read(socket: net.Socket, length: number): Promise<string> {
  let text = "";
  while (text.length < length) {
    const [chunk] = (await once(socket, "data")) as [Buffer];
    text += chunk.toString();
  }
  return text;
}

export function write(fd: number, text: string): void {
  const bytes = Buffer.from(text);
  const written = check(libc.send(fd, bytes, bytes.length, 0), "write");
  if (written !== bytes.length) throw new Error(`wrote ${written} of ${bytes.length} bytes`);
}

/** Waits until something is so. */
export async function until(isSo: () => boolean): Promise<void> {
  while (!isSo()) await new Promise((resolve) => setTimeout(resolve, POLL_MS));
}

/** Waits for what the kernel has, without taking it out. */
export const arrived = (fd: number, length: number): Promise<void> =>
  until(() => libc.recv(fd, new Uint8Array(length), length, MSG_PEEK | MSG_DONTWAIT) === length);
