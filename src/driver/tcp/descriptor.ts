// What the kernel knows of a socket of Node's that Node does not tell: its descriptor, and what the peer has acknowledged.
import type { Duplex } from "node:stream";
import { check, libc } from "../libc.ts";
import * as option from "./socket-options.ts";

const TCP_CLOSE = 7;
const F_DUPFD_CLOEXEC = 1030;

/** The descriptor of a connected socket; undefined once it is closed. Node does not document where it is. */
export function descriptorOf(socket: Duplex): number | undefined {
  const { _handle: handle } = socket as Duplex & {
    readonly _handle?: { readonly fd?: number } | null;
  };
  const fd = handle?.fd;
  return fd === undefined || fd < 0 ? undefined : fd;
}

/** Bytes in the kernel that the peer has not acknowledged, a FIN among them; undefined: the connection is no more. */
export function unacknowledged(fd: number): number | undefined {
  const state = option.readOption(fd, option.SOL_TCP, option.TCP_INFO, 1).getUint8(0);
  return state === TCP_CLOSE ? undefined : option.readQueued(fd, option.SIOCOUTQ);
}

/** A second descriptor: the connection can be asked after while Node closes its own. To be closed by `close`. */
export function duplicate(fd: number): { readonly fd: number; close(): void } {
  const copy = check(libc.fcntl(fd, F_DUPFD_CLOEXEC, 0), "duplicate a socket");
  return { fd: copy, close: () => void libc.close(copy) };
}
