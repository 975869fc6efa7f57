// Whole IP packets out of this host, by the kernel's own routes and neighbours (raw(7), IPPROTO_RAW). For the few answers that the agent
// gives in the name of a VIP; it receives nothing.
import { check, errno, errnoName, libc } from "../libc.ts";
import { AF_INET, AF_INET6, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from "../sockets.ts";

/** The header is part of what is sent, in both families. */
const IPPROTO_RAW = 255;
const SOCKADDR_IN_LENGTH = 16;
const SOCKADDR_IN6_LENGTH = 28;

export interface OutgoingPacket {
  readonly packet: Uint8Array;
  /** 4 or 16 bytes. */
  readonly destination: Uint8Array;
}

/** sockaddr_in: family(2) port(2) address(4) …; sockaddr_in6: family(2) port(2) flow(4) address(16) scope(4). The port is 0. */
function socketAddress(destination: Uint8Array): Uint8Array {
  const is4 = destination.byteLength === 4;
  const bytes = new Uint8Array(is4 ? SOCKADDR_IN_LENGTH : SOCKADDR_IN6_LENGTH);
  new DataView(bytes.buffer).setUint16(0, is4 ? AF_INET : AF_INET6, true);
  bytes.set(destination, is4 ? 4 : 8);
  return bytes;
}

export class RawSocket {
  /** By family; a kernel may be without IPv6. */
  readonly #fds: ReadonlyMap<number, number>;
  #open = true;

  private constructor(fds: ReadonlyMap<number, number>) {
    this.#fds = fds;
  }

  /** Belongs to the network namespace the thread is in now. Throws PAN_SYSCALL. */
  static open(): RawSocket {
    const type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
    const fds = new Map<number, number>();
    fds.set(4, check(libc.socket(AF_INET, type, IPPROTO_RAW), "open a raw socket"));
    const six = libc.socket(AF_INET6, type, IPPROTO_RAW);
    if (six >= 0) fds.set(16, six);
    return new RawSocket(fds);
  }

  /** Undefined: sent. Otherwise the errno's name, such as "ENETUNREACH". */
  send({ packet, destination }: OutgoingPacket): string | undefined {
    const fd = this.#fds.get(destination.byteLength);
    if (fd === undefined) return "EAFNOSUPPORT";
    const address = socketAddress(destination);
    const sent = libc.sendto(fd, packet, packet.byteLength, 0, address, address.byteLength);
    return sent < 0 ? errnoName(errno()) : undefined;
  }

  close(): void {
    if (!this.#open) return;
    this.#open = false;
    for (const fd of this.#fds.values()) libc.close(fd);
  }
}
