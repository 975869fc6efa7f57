// Somebody on the nodes' network without keys: listens to what they broadcast, and sends what it likes from any
// source address.
import { type IpAddress, ipBytes } from "#base/address.ts";
import { MessageHeader } from "#driver/cluster/message-header.ts";
import { check, inNetns, libc } from "#driver/libc.ts";
import { run } from "./netns.ts";

const AF_INET = 2;
const SOCK_DGRAM_NONBLOCK = 2 | 0o4000;
const SOL_SOCKET = 1;
const SO_BROADCAST = 6;
const IP_TRANSPARENT = 19;
const PORT = 7450;

export class Intruder {
  readonly #namespace: string;
  readonly #switchNamespace: string;
  readonly #listener: number;

  /** @param switchNamespace where the bridge "br0" is; removed with the namespace of the intruder */
  constructor(namespace: string, switchNamespace: string) {
    this.#namespace = namespace;
    this.#switchNamespace = switchNamespace;
    run("ip", "netns", "add", namespace);
    try {
      this.#connect();
      this.#listener = this.#listen();
    } catch (error) {
      run("ip", "netns", "del", namespace);
      throw error;
    }
  }

  #connect(): void {
    const [namespace, switchNamespace] = [this.#namespace, this.#switchNamespace];
    const peer = ["peer", "name", "intruder", "netns", switchNamespace];
    run("ip", "-n", namespace, "link", "add", "eth0", "type", "veth", ...peer);
    run("ip", "-n", namespace, "addr", "add", "10.9.7.200/24", "dev", "eth0");
    run("ip", "-n", namespace, "link", "set", "eth0", "up");
    run("ip", "-n", switchNamespace, "link", "set", "intruder", "master", "br0", "up");
  }

  #listen(): number {
    return this.#inside(() => {
      const fd = check(libc.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0), "open a UDP socket");
      const any = MessageHeader.socketAddress(Uint8Array.of(0, 0, 0, 0), PORT);
      check(libc.bind(fd, any, any.byteLength), "bind the listener");
      return fd;
    });
  }

  #inside<T>(action: () => T): T {
    return inNetns(`/run/netns/${this.#namespace}`, action);
  }

  /** Broadcasts that were heard since the last call. */
  heard(): Uint8Array[] {
    const buffer = new Uint8Array(2000);
    const datagrams: Uint8Array[] = [];
    for (;;) {
      const length = libc.recv(this.#listener, buffer, buffer.byteLength, 0);
      if (length < 0) return datagrams;
      datagrams.push(buffer.slice(0, length));
    }
  }

  /** Sends to one node with any source address. */
  send(from: IpAddress, to: IpAddress, bytes: Uint8Array): void {
    this.#inside(() => {
      const fd = check(libc.socket(AF_INET, SOCK_DGRAM_NONBLOCK, 0), "open a UDP socket");
      try {
        const one = Uint8Array.of(1, 0, 0, 0);
        check(libc.setsockopt(fd, 0, IP_TRANSPARENT, one, 4), "allow any source address");
        check(libc.setsockopt(fd, SOL_SOCKET, SO_BROADCAST, one, 4), "allow broadcasts");
        const source = MessageHeader.socketAddress(ipBytes(from), 0);
        check(libc.bind(fd, source, source.byteLength), `bind to ${from}`);
        const target = MessageHeader.socketAddress(ipBytes(to), PORT);
        const sent = libc.sendto(fd, bytes, bytes.byteLength, 0, target, target.byteLength);
        check(sent, `send to ${to}`);
      } finally {
        libc.close(fd);
      }
    });
  }

  remove(): void {
    libc.close(this.#listener);
    // a namespace goes some time after its deletion, and its link with it
    run("ip", "-n", this.#switchNamespace, "link", "del", "intruder");
    run("ip", "netns", "del", this.#namespace);
  }
}
