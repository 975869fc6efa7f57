// The TCP connections that this kernel has, by the sock_diag interface (what ss(8) reads). Only those that a segment can still
// belong to: no listeners, and no TIME-WAIT, in which the application is gone and the peer has what was sent.
import { unmapped } from "#base/mapped-address.ts";
import { assert } from "#base/assert.ts";
import type { Connection } from "#core/steering/former-slots.ts";
import { AF_INET, AF_INET6 } from "../sockets.ts";
import type { Message } from "./message.ts";
import { NetlinkSocket } from "./socket.ts";

export const NETLINK_SOCK_DIAG = 4;
export const SOCK_DIAG_BY_FAMILY = 20;
const IPPROTO_TCP = 6;
/** ESTABLISHED, SYN-SENT, SYN-RECEIVED (two forms), FIN-WAIT-1, FIN-WAIT-2, CLOSE-WAIT, LAST-ACK, CLOSING. */
const STATES = [1, 2, 3, 4, 5, 8, 9, 11, 12].reduce((mask, state) => mask | (1 << state), 0);
/** SYN-SENT, SYN-RECEIVED. */
const HALF_OPEN = [2, 3, 12];
/** inet_diag_req_v2: family(8) protocol(8) extensions(8) padding(8) states(32) and an id that a dump does not use. */
const REQUEST_LENGTH = 56;
/** inet_diag_msg: family(8) state(8) timer(8) retransmits(8), then the id. */
const MESSAGE_LENGTH = 72;
const LOCAL_PORT = 4;
const REMOTE_PORT = 6;
const LOCAL_ADDRESS = 8;
const REMOTE_ADDRESS = 24;

export function request(family: number): Uint8Array {
  const fixed = new Uint8Array(REQUEST_LENGTH);
  fixed[0] = family;
  fixed[1] = IPPROTO_TCP;
  new DataView(fixed.buffer).setUint32(4, STATES, true);
  return fixed;
}

export function connectionOf({ payload }: Message): Connection {
  assert(payload.byteLength >= MESSAGE_LENGTH, "the kernel describes a socket in 72 bytes");
  const view = new DataView(payload.buffer, payload.byteOffset, payload.byteLength);
  const size = payload[0] === AF_INET ? 4 : 16;
  // an IPv4 connection of a socket that also takes IPv6 has a mapped address
  const address = (at: number): Uint8Array => unmapped(payload.subarray(at, at + size));
  return {
    protocol: IPPROTO_TCP,
    source: address(REMOTE_ADDRESS),
    sourcePort: view.getUint16(REMOTE_PORT, false),
    destination: address(LOCAL_ADDRESS),
    destinationPort: view.getUint16(LOCAL_PORT, false),
    halfOpen: HALF_OPEN.includes(payload[1] ?? 0),
  };
}

export class TcpConnections {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Sees the network namespace the thread is in now, for good. Throws PAN_SYSCALL. */
  static open(): TcpConnections {
    return new TcpConnections(NetlinkSocket.open(NETLINK_SOCK_DIAG));
  }

  /** Throws PAN_NETLINK, also where the kernel has no sock_diag. A thousand connections take about a millisecond. */
  list(): Connection[] {
    return [AF_INET, AF_INET6].flatMap((family) =>
      this.#socket
        .dump(
          { type: SOCK_DIAG_BY_FAMILY, flags: 0, fixed: request(family), attributes: [] },
          "list the TCP connections",
        )
        .map(connectionOf),
    );
  }

  close(): void {
    this.#socket.close();
  }
}
