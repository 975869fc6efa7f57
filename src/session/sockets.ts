// The sockets of sessions as engine and sessions need them: those of the kernel for a server, made up for a simulation.
import { Socket } from "node:net";
import type { Duplex } from "node:stream";
import type { HeldConnection } from "#core/takeover/replica.ts";
import type { Resumed } from "#core/takeover/resumption.ts";
import { closeDescriptor, closeSilently } from "#driver/tcp/close.ts";
import { descriptorOf, duplicate, unacknowledged } from "#driver/tcp/descriptor.ts";
import { freeze } from "#driver/tcp/dump.ts";
import { leaveRepair, restore } from "#driver/tcp/restore.ts";

export type SessionSocket = Duplex & {
  readonly bytesWritten: number;
  resetAndDestroy(): unknown;
  setNoDelay(isOn: boolean): unknown;
  setKeepAlive(isOn: boolean, afterMs: number): unknown;
};

/** A connection of which Node has closed its socket, and whose last bytes may still be on their way. */
export interface Lingering {
  /** Bytes that the peer has not acknowledged, a FIN among them; undefined: the connection is no more. */
  readonly unacknowledged: () => number | undefined;
  /** From now on nothing is sent, nor when it is closed. */
  readonly freeze: () => void;
  readonly close: () => void;
}

/** What a session asks of its socket beside what Node offers. */
export interface PeerSockets {
  /** Bytes in the kernel that the peer has not acknowledged; undefined: the socket is closed. */
  readonly unacknowledged: (socket: SessionSocket) => number | undefined;
  /** Before the socket is closed; undefined: it is. */
  readonly linger: (socket: SessionSocket) => Lingering | undefined;
  /** Without a word to the peer. */
  readonly closeSilently: (socket: SessionSocket) => void;
}

/** Made at given numbers, and not yet going. */
export interface RestoredSocket {
  readonly socket: SessionSocket;
  /** From now on it is like any other, and speaks. */
  readonly begin: () => void;
}

export interface SessionSockets extends PeerSockets {
  /**
   * A socket that stands for a connection until it is restored: by it the packet program knows that packets of this connection are not a
   * former owner's. It neither gets nor sends anything. Answers what removes it.
   */
  readonly standIn: (held: HeldConnection) => () => void;
  readonly restore: (resumed: Resumed) => RestoredSocket;
}

/** Those of this process's network namespace. */
export const KERNEL_SOCKETS: SessionSockets = {
  unacknowledged: (socket) => {
    const fd = descriptorOf(socket);
    return fd === undefined ? undefined : unacknowledged(fd);
  },
  linger: (socket) => {
    const fd = descriptorOf(socket);
    if (fd === undefined) return undefined;
    const copy = duplicate(fd);
    return {
      unacknowledged: () => unacknowledged(copy.fd),
      freeze: () => freeze(copy.fd),
      close: () => copy.close(),
    };
  },
  closeSilently,
  standIn: ({ log: { opened, progress } }) => {
    const { essential } = progress ?? opened;
    const fd = restore({ initial: opened.initial, essential, timestamp: undefined });
    return () => closeDescriptor(fd);
  },
  restore: (resumed) => {
    const fd = restore(resumed);
    const socket = new Socket({ fd, readable: true, writable: true, allowHalfOpen: true });
    return { socket, begin: () => leaveRepair(fd) };
  },
};
