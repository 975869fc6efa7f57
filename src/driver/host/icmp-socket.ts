// Messages "destination unreachable" that come to this host (raw(7), IPPROTO_ICMP), beside what its kernel makes of them: about packets that
// the packet program has sent the kernel knows nothing.
import { DESTINATION_UNREACHABLE } from "#wire/icmp.ts";
import { check, libc } from "../libc.ts";
import { AF_INET, SOCK_CLOEXEC, SOCK_NONBLOCK, SOCK_RAW } from "../sockets.ts";

const IPPROTO_ICMP = 1;
const SOL_RAW = 255;
const ICMP_FILTER = 1;
const LONGEST = 1500;

export class IcmpSocket {
  readonly fd: number;
  readonly #buffer = new Uint8Array(LONGEST);

  private constructor(fd: number) {
    this.fd = fd;
  }

  /** Belongs to the network namespace the thread is in now. Throws PAN_SYSCALL. */
  static open(): IcmpSocket {
    const type = SOCK_RAW | SOCK_CLOEXEC | SOCK_NONBLOCK;
    const fd = check(libc.socket(AF_INET, type, IPPROTO_ICMP), "open a socket for ICMP");
    const refused = new Uint8Array(Uint32Array.of(~(1 << DESTINATION_UNREACHABLE)).buffer);
    try {
      check(libc.setsockopt(fd, SOL_RAW, ICMP_FILTER, refused, 4), "choose ICMP messages");
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    return new IcmpSocket(fd);
  }

  /** The next whole IPv4 packet, valid until the next call; undefined: there is none. */
  receive(): Uint8Array | undefined {
    const length = libc.recv(this.fd, this.#buffer, this.#buffer.byteLength, 0);
    return length < 0 ? undefined : this.#buffer.subarray(0, length);
  }

  close(): void {
    libc.close(this.fd);
  }
}
