// Whether an IGMP querier is on the network (RFC 2236, RFC 3376): where there is one, switches that listen to IGMP send IPv4 frames
// to a group MAC only where somebody has joined, and nobody can join a dedicated MAC. Queries go to all hosts, every two minutes or so.
import { ipFromBytes, type IpAddress } from "#base/address.ts";
import { check, libc } from "../libc.ts";

const AF_INET = 2;
const SOCK_RAW_NONBLOCK_CLOEXEC = 3 | 0o4000 | 0o2000000;
const IPPROTO_IGMP = 2;
const MEMBERSHIP_QUERY = 0x11;
const PACKETS_A_TURN = 256;

export class IgmpWatch {
  readonly #fd: number;
  #querier: IpAddress | undefined;

  /** In the network namespace the thread is in now. Throws PAN_SYSCALL. */
  constructor() {
    this.#fd = check(
      libc.socket(AF_INET, SOCK_RAW_NONBLOCK_CLOEXEC, IPPROTO_IGMP),
      "open a socket for IGMP",
    );
  }

  /** Who has queried since this began; a switch without an address is 0.0.0.0. To be asked every few seconds. */
  get querier(): IpAddress | undefined {
    const buffer = new Uint8Array(2048);
    for (let count = 0; count < PACKETS_A_TURN; count++) {
      const length = libc.recv(this.#fd, buffer, buffer.byteLength, 0);
      if (length <= 0) break;
      const header = ((buffer[0] ?? 0) & 0x0f) * 4;
      if (length > header && buffer[header] === MEMBERSHIP_QUERY) {
        this.#querier = ipFromBytes(buffer.slice(12, 16));
      }
    }
    return this.#querier;
  }

  close(): void {
    libc.close(this.#fd);
  }
}
