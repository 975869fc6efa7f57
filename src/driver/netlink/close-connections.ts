// Ends TCP connections of this kernel for good (B7, the deadline of a drain): both sides hear of it, the application by an error on its
// socket, the peer by a reset. SOCK_DESTROY of sock_diag(7), what `ss --kill` does; the kernel has it with CONFIG_INET_DIAG_DESTROY.
import type { Connection } from "#core/steering/former-slots.ts";
import { AF_INET, AF_INET6 } from "../sockets.ts";
import { NetlinkSocket, refusedWith } from "./socket.ts";
import {
  connectionOf,
  NETLINK_SOCK_DIAG,
  request as listRequest,
  SOCK_DIAG_BY_FAMILY,
} from "./tcp-connections.ts";

const SOCK_DESTROY = 21;
/** inet_diag_sockid in inet_diag_msg and in inet_diag_req_v2: ports, addresses, interface and cookie. */
const DESCRIBED_ID = 4;
const REQUEST_ID = 8;
const ID_LENGTH = 48;

/**
 * Closes those that `isMeant` names; answers how many. Of the network namespace the thread is in. Throws PAN_NETLINK, also where the
 * kernel cannot do it; one that has ended meanwhile is no failure, and not counted.
 */
export function closeConnections(isMeant: (connection: Connection) => boolean): number {
  const socket = NetlinkSocket.open(NETLINK_SOCK_DIAG);
  try {
    let closed = 0;
    for (const family of [AF_INET, AF_INET6]) {
      const request = { flags: 0, attributes: [] };
      const listed = socket.dump(
        { ...request, type: SOCK_DIAG_BY_FAMILY, fixed: listRequest(family) },
        "list the TCP connections",
      );
      for (const message of listed) {
        if (!isMeant(connectionOf(message))) continue;
        const fixed = requestFor(family, message.payload);
        if (isClosed(socket, { ...request, type: SOCK_DESTROY, fixed })) closed += 1;
      }
    }
    return closed;
  } finally {
    socket.close();
  }
}

/** Names one connection as the kernel has described it, its cookie included. */
function requestFor(family: number, described: Uint8Array): Uint8Array {
  const fixed = listRequest(family);
  fixed.set(described.subarray(DESCRIBED_ID, DESCRIBED_ID + ID_LENGTH), REQUEST_ID);
  return fixed;
}

function isClosed(socket: NetlinkSocket, request: Parameters<NetlinkSocket["change"]>[0]): boolean {
  try {
    socket.change(request, "close a TCP connection");
    return true;
  } catch (error) {
    if (refusedWith(error, "ENOENT")) return false;
    throw error;
  }
}
