// Membership of the cluster's IPv4 group (A13.3): while a socket has joined it, the kernel answers the questions of the
// segment's querier, in whatever version of IGMP they are asked. What a member says without being asked is decided in core/node and
// sent by the announcer. The membership ends with the process: a member without an agent takes nothing anyway.
import { ipBytes, type IpAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { check, libc, O_CLOEXEC } from "../libc.ts";
import { AF_INET, SOCK_DGRAM } from "../sockets.ts";

const IPPROTO_IP = 0;
const IP_ADD_MEMBERSHIP = 35;
/** struct ip_mreqn: group, own address (0: the interface decides), interface. */
const REQUEST_LENGTH = 12;

export class GroupMembership {
  readonly #interface: string;
  #joined: { readonly group: IpAddress; readonly link: number; readonly fd: number } | undefined;

  /** In the network namespace the thread is in at each call. */
  constructor(interfaceName: string) {
    this.#interface = interfaceName;
  }

  /** Repeatable; another group takes the place of the one before. Throws PAN_INTERFACE_MISSING, PAN_SYSCALL. */
  join(group: IpAddress): void {
    const link = libc.ifNameToIndex(this.#interface);
    if (this.#joined?.group === group && this.#joined.link === link) return;
    if (link === 0) {
      throw new PanError(
        "PAN_INTERFACE_MISSING",
        `There is no network interface ${this.#interface}: create it or correct the node's configuration`,
      );
    }
    this.close();
    const fd = check(libc.socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0), "open a socket");
    const request = new Uint8Array(REQUEST_LENGTH);
    request.set(ipBytes(group));
    new DataView(request.buffer).setInt32(8, link, true);
    const result = libc.setsockopt(fd, IPPROTO_IP, IP_ADD_MEMBERSHIP, request, REQUEST_LENGTH);
    try {
      check(result, `join the group ${group} on ${this.#interface}`);
    } catch (error) {
      libc.close(fd);
      throw error;
    }
    this.#joined = { group, link, fd };
  }

  close(): void {
    if (this.#joined !== undefined) libc.close(this.#joined.fd);
    this.#joined = undefined;
  }
}
