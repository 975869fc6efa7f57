// Reads a TCP connection out of the kernel, whole and exact, for a planned hand-over (A8, A16). The socket is frozen while it is read:
// what arrives is dropped without an answer, so the peer sends it again, to the new owner. Needs CAP_NET_ADMIN.
import { advance } from "#base/sequence.ts";
import type { EssentialState, InitialState, TimestampClock } from "#wire/takeover/record.ts";
import { check, libc } from "../libc.ts";
import * as option from "./socket-options.ts";

const SIOCINQ = 0x541b;
const SIOCOUTQNSD = 0x894b;
const MSG_PEEK = 2;
const TCP_INFO_LENGTH = 232;
const TIMESTAMP_OPTION = 12;

export interface ConnectionDump {
  readonly initial: InitialState;
  readonly essential: EssentialState;
  readonly clock: TimestampClock;
  /** Acknowledged by the kernel and not yet read by the application. Before `essential.receiveNext`. */
  readonly unread: Uint8Array;
  /** Sent, and not acknowledged by the peer: it begins at `essential.sendNext` less this length. */
  readonly inFlight: Uint8Array;
  /** Written by the application and never sent. */
  readonly unsent: Uint8Array;
}

export function freeze(fd: number): void {
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR, option.REPAIR_ON);
}

/** The socket goes on as if nothing had been: nothing is sent. */
export function thaw(fd: number): void {
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR, option.REPAIR_OFF_NO_PROBE);
}

/** Of a frozen socket. @param nowMs of this machine's monotonic clock */
export function dump(fd: number, nowMs: number): ConnectionDump {
  const info = option.readOption(fd, option.SOL_TCP, option.TCP_INFO, TCP_INFO_LENGTH);
  const options = info.getUint8(5);
  const scales = info.getUint8(6);
  const has = (bit: number): boolean => ((options >> bit) & 1) === 1;
  const [timestamps, sack, scaling] = [has(0), has(1), has(2)];
  const queues = readQueues(fd);
  const window = option.readOption(fd, option.SOL_TCP, option.TCP_REPAIR_WINDOW, 20);
  const clock = option.readNumber(fd, option.TCP_TIMESTAMP);
  // Of a socket in repair: what the peer announced.
  const mssWithOptions = option.readNumber(fd, option.TCP_MAXSEG);
  const own = option.endpointOf(fd, "own");
  const peer = option.endpointOf(fd, "peer");
  return {
    initial: {
      key: { vip: own.address, port: own.port, peer: peer.address, peerPort: peer.port },
      mss: mssWithOptions - (timestamps ? TIMESTAMP_OPTION : 0),
      mssWithOptions,
    },
    essential: {
      flags: {
        noDelay: option.readNumber(fd, 1) !== 0,
        noOptions: !timestamps && !sack,
        windowScalingRequested: scaling,
        windowScalingReceived: scaling,
        timestampsRequested: timestamps,
        timestampsReceived: timestamps,
        sackPermitted: sack,
      },
      sendNext: queues.sendNext,
      wl1: window.getUint32(0, true),
      wl2: advance(queues.sendNext, -queues.inFlight.byteLength),
      sendWindow: window.getUint32(4, true),
      receiveNext: queues.receiveNext,
      receiveAdvertised: advance(window.getUint32(16, true), window.getUint32(12, true)),
      sendScale: scales & 15,
      receiveScale: scales >> 4,
      recentTimestamp: 0,
    },
    clock: { value: clock, readAtMs: nowMs },
    unread: queues.unread,
    inFlight: queues.inFlight,
    unsent: queues.unsent,
  };
}

interface Queues extends Pick<ConnectionDump, "unread" | "inFlight" | "unsent"> {
  readonly sendNext: number;
  readonly receiveNext: number;
}

function readQueues(fd: number): Queues {
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR_QUEUE, option.SEND_QUEUE);
  const writeNext = option.readNumber(fd, option.TCP_QUEUE_SEQ);
  const unacknowledged = option.readQueued(fd, option.SIOCOUTQ);
  const unsentLength = option.readQueued(fd, SIOCOUTQNSD);
  const sending = peek(fd, unacknowledged);
  const sent = unacknowledged - unsentLength;
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR_QUEUE, option.RECEIVE_QUEUE);
  const receiveNext = option.readNumber(fd, option.TCP_QUEUE_SEQ);
  const unread = peek(fd, option.readQueued(fd, SIOCINQ));
  option.setOption(fd, option.SOL_TCP, option.TCP_REPAIR_QUEUE, 0);
  return {
    sendNext: advance(writeNext, -unsentLength),
    receiveNext,
    unread,
    inFlight: sending.subarray(0, sent),
    unsent: sending.subarray(sent),
  };
}

/** What the selected queue holds. */
function peek(fd: number, length: number): Uint8Array {
  if (length === 0) return new Uint8Array();
  const bytes = new Uint8Array(length);
  const taken = check(libc.recv(fd, bytes, length, MSG_PEEK), "look into a TCP socket's queue");
  return bytes.subarray(0, taken);
}
