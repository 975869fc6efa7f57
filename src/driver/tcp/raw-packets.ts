// Sends whole IP packets that were built here (A16): the segments that no socket of this machine would send.
import { familyOf } from "#base/address.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import { check, libc } from "../libc.ts";
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_RAW, socketAddress } from "./socket-options.ts";

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

  send({ peer }: ConnectionKey, packet: Uint8Array): void {
    const address = socketAddress(peer, 0);
    const fd = familyOf(peer) === 4 ? this.#v4 : this.#v6;
    check(
      libc.sendto(fd, packet, packet.byteLength, 0, address, address.byteLength),
      `send a segment to ${peer}`,
    );
  }

  close(): void {
    libc.close(this.#v4);
    libc.close(this.#v6);
  }
}
