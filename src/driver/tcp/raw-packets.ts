// Sends whole IP packets that were built here (A16): the segments that no socket of this machine would send.
import { familyOf, type IpAddress } from "#base/address.ts";
import { check, libc } from "../libc.ts";
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_RAW } from "../sockets.ts";
import { socketAddress } from "./socket-options.ts";

/** What is sent brings its own IP header, and nothing is received. */
const IPPROTO_RAW = 255;

/** Belongs to the network namespace in which it was made. Needs CAP_NET_RAW. */
export class RawPackets {
  readonly #v4: number;
  readonly #v6: number;

  constructor() {
    const open = (domain: number): number =>
      check(libc.socket(domain, SOCK_RAW | SOCK_CLOEXEC, IPPROTO_RAW), "open a raw socket");
    this.#v4 = open(AF_INET);
    this.#v6 = open(AF_INET6);
  }

  /** @param to a peer, or an address of this machine: then its stack gets it like any packet that comes in, but not from an interface */
  send(to: IpAddress, packet: Uint8Array): void {
    const address = socketAddress(to, 0);
    const fd = familyOf(to) === 4 ? this.#v4 : this.#v6;
    check(
      libc.sendto(fd, packet, packet.byteLength, 0, address, address.byteLength),
      `send a segment to ${to}`,
    );
  }

  close(): void {
    libc.close(this.#v4);
    libc.close(this.#v6);
  }
}
