// Makes an established TCP socket out of numbers (A16), in the order that the kernel wants: while CLOSED the sequence numbers, after
// connect() the options, then queues, then windows. Nothing is sent before the socket leaves repair. Needs CAP_NET_ADMIN.
import { familyOf } from "#base/address.ts";
import { distance } from "#base/sequence.ts";
import type { EssentialState, InitialState } from "#wire/takeover/record.ts";
import { check, libc } from "../libc.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_STREAM,
  SOL_SOCKET,
} from "../sockets.ts";
import * as option from "./socket-options.ts";

export interface RestorePlan {
  readonly initial: InitialState;
  readonly essential: EssentialState;
  /** The timestamp to begin with; undefined where the connection has none. */
  readonly timestamp: number | undefined;
  /** To be read by the application; before `essential.receiveNext`. */
  readonly unread?: Uint8Array;
  /** Already sent, to be sent again when the peer does not acknowledge it; before `essential.sendNext`. */
  readonly inFlight?: Uint8Array;
}

const OPTION_MSS = 2;
const OPTION_SCALE = 3;
const OPTION_SACK = 4;
const OPTION_TIMESTAMPS = 8;
const SO_SNDBUFFORCE = 32;
const SO_RCVBUFFORCE = 33;
const SO_BUF_LOCK = 72;
/** Larger queues do not fit a socket's first buffers. */
const SMALL_QUEUE = 16_000;
const PUSH = 16_384;
const NOTHING = new Uint8Array();

/**
 * The socket, non-blocking and still in repair: packets of the connection may only reach the stack from now on. leaveRepair() sets it going.
 * The address must be on this machine.
 */
export function restore(plan: RestorePlan): number {
  const { key } = plan.initial;
  const domain = familyOf(key.vip) === 4 ? AF_INET : AF_INET6;
  const type = SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC;
  const fd = check(libc.socket(domain, type, 0), "make a TCP socket");
  try {
    // First: it lets bind() pass beside a listener on the same port.
    option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR, option.REPAIR_ON);
    placeQueues(fd, plan);
    const own = option.socketAddress(key.vip, key.port);
    check(libc.bind(fd, own, own.byteLength), `use ${key.vip} for a restored connection`);
    const peer = option.socketAddress(key.peer, key.peerPort);
    check(libc.connect(fd, peer, peer.byteLength), "restore a connection");
    setOptions(fd, plan);
    fillQueues(fd, plan.unread ?? NOTHING, plan.inFlight ?? NOTHING);
    setWindow(fd, plan.essential);
    return fd;
  } catch (error) {
    libc.close(fd);
    throw error;
  }
}

/** From now on the socket is like any other. The peer is told our window, and its answer must reach the stack. */
export function leaveRepair(fd: number): void {
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR_QUEUE, 0);
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR, option.REPAIR_OFF);
}

function placeQueues(fd: number, { essential, inFlight, unread }: RestorePlan): void {
  const place = (queue: number, sequence: number): void => {
    option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR_QUEUE, queue);
    option.setOption(fd, option.SOL_TCP, option.TCP_QUEUE_SEQ, sequence);
  };
  place(option.SEND_QUEUE, essential.sendNext - (inFlight?.byteLength ?? 0));
  place(option.RECEIVE_QUEUE, essential.receiveNext - (unread?.byteLength ?? 0));
}

function setOptions(fd: number, { initial, essential, timestamp }: RestorePlan): void {
  const { flags, sendScale, receiveScale } = essential;
  const options: [number, number][] = [[OPTION_MSS, initial.mssWithOptions]];
  if (flags.windowScalingReceived) options.push([OPTION_SCALE, sendScale | (receiveScale << 16)]);
  if (flags.sackPermitted) options.push([OPTION_SACK, 0]);
  if (flags.timestampsReceived) options.push([OPTION_TIMESTAMPS, 0]);
  const bytes = new Uint8Array(Uint32Array.from(options.flat()).buffer);
  check(
    libc.setsockopt(fd, option.SOL_TCP, option.TCP_REPAIR_OPTIONS, bytes, bytes.byteLength),
    "set the options of a restored connection",
  );
  // The lowest bit says "in microseconds" (since Linux 6.7): even, and not smaller than asked for.
  if (timestamp !== undefined)
    option.setOption(fd, option.SOL_TCP, option.TCP_TIMESTAMP, (timestamp + 1) & ~1);
  if (flags.noDelay) option.setOption(fd, option.SOL_TCP, 1, 1);
}

function fillQueues(fd: number, unread: Uint8Array, inFlight: Uint8Array): void {
  const most = Math.max(unread.byteLength, inFlight.byteLength);
  if (most > SMALL_QUEUE) {
    option.setOption(fd, SOL_SOCKET, SO_SNDBUFFORCE, 2 * most);
    option.setOption(fd, SOL_SOCKET, SO_RCVBUFFORCE, 2 * most);
  }
  push(fd, option.RECEIVE_QUEUE, unread);
  push(fd, option.SEND_QUEUE, inFlight);
  // The kernel may size the buffers again.
  if (most > SMALL_QUEUE) option.setOption(fd, SOL_SOCKET, SO_BUF_LOCK, 0);
}

function push(fd: number, queue: number, bytes: Uint8Array): void {
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR_QUEUE, queue);
  for (let at = 0; at < bytes.byteLength;) {
    const piece = bytes.subarray(at, at + PUSH);
    at += check(libc.send(fd, piece, piece.byteLength, 0), "fill a restored connection's queue");
  }
}

/** struct tcp_repair_window: snd_wl1, snd_wnd, max_window, rcv_wnd, rcv_wup. */
function setWindow(fd: number, essential: EssentialState): void {
  const { wl1, sendWindow, receiveNext, receiveAdvertised } = essential;
  const receiveWindow = Math.max(0, distance(receiveNext, receiveAdvertised));
  const largest = Math.max(sendWindow, 65_535);
  const bytes = new Uint8Array(
    Uint32Array.of(wl1, sendWindow, largest, receiveWindow, receiveNext).buffer,
  );
  check(
    libc.setsockopt(fd, option.SOL_TCP, option.TCP_REPAIR_WINDOW, bytes, bytes.byteLength),
    "set the windows of a restored connection",
  );
}
