// The UDP socket between nodes. Synchronous, because the heart's thread has no event loop (docs/adr/0002).
// Each datagram comes with the time at which the kernel received it, on the monotonic clock; ICMP "port
// unreachable" comes through the socket's error queue.
import { type IpAddress, ipBytes, ipFromBytes } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { MAX_DATAGRAM } from "#wire/cluster/datagram.ts";
import { check, errno, errnoCode, inNetns, libc } from "../libc.ts";
import {
  AF_INET,
  SOCK_CLOEXEC,
  SOCK_DGRAM,
  SOCK_NONBLOCK,
  SOL_SOCKET,
  bindToDevice,
} from "../sockets.ts";
import { MessageHeader } from "./message-header.ts";

export interface ClusterSocketOptions {
  readonly interface: string;
  readonly address: IpAddress;
  readonly port: number;
  readonly netns?: string;
}

export interface Arrival {
  /** Valid until the next receive. */
  readonly bytes: Uint8Array;
  readonly from: IpAddress;
  /** Milliseconds on CLOCK_MONOTONIC. */
  readonly atMs: number;
}

const SO_BROADCAST = 6;
const SO_PRIORITY = 12;
const SO_RCVBUFFORCE = 33;
const SO_TIMESTAMPNS = 35;
const IPPROTO_IP = 0;
const IP_TOS = 1;
const IP_PKTINFO = 8;
const IP_RECVERR = 11;
const MSG_ERRQUEUE = 0x2000;
const CLOCK_REALTIME = 0;
const EAGAIN = 11;
const EINTR = 4;
const ECONNREFUSED = 111;
/** Network control, as routing protocols use it (RFC 4594). */
const TOS_CS6 = 0xc0;
const PRIORITY_CONTROL = 6;
const RECEIVE_BUFFER = 4 * 1024 * 1024;
const BROADCAST = Uint8Array.of(255, 255, 255, 255);

export const monotonicMs = (): number => Number(process.hrtime.bigint()) / 1e6;

export class ClusterSocket {
  readonly fd: number;
  readonly #port: number;
  readonly #incoming = new MessageHeader(MAX_DATAGRAM + 1, 256);
  readonly #outgoing: MessageHeader;
  readonly #clock = new Uint8Array(16);
  /** When the socket was last found empty: what is read later has not arrived earlier. */
  #emptyAtMs: number;

  /** PAN_INTERFACE_MISSING, PAN_AGENT_RUNNING, PAN_SYSCALL. */
  constructor(options: ClusterSocketOptions) {
    this.#port = options.port;
    this.#outgoing = new MessageHeader(MAX_DATAGRAM, 32);
    this.#outgoing.setControl(IPPROTO_IP, IP_PKTINFO, packetInfo(options.address));
    const { netns } = options;
    this.fd = netns === undefined ? open(options) : inNetns(netns, () => open(options));
    this.#emptyAtMs = monotonicMs();
  }

  /** False when the kernel did not take it: the network is down, or its queue is full. */
  send(to: IpAddress | "everyone", bytes: Uint8Array): boolean {
    this.#outgoing.setAddress(to === "everyone" ? BROADCAST : ipBytes(to), this.#port);
    this.#outgoing.setBytes(bytes);
    // an ICMP error that an earlier datagram caused is reported by, and takes the place of, one send
    for (let attempt = 0; attempt < 3; attempt++) {
      if (libc.sendmsg(this.fd, this.#outgoing.header, 0) >= 0) return true;
      if (errno() === EAGAIN) return false;
    }
    return false;
  }

  /** The next datagram, or undefined when there is none. */
  receive(): Arrival | undefined {
    for (let attempt = 0; attempt < 16; attempt++) {
      this.#incoming.reset();
      const length = libc.recvmsg(this.fd, this.#incoming.header, 0);
      if (length >= 0) {
        const from = ipFromBytes(this.#incoming.address());
        return { bytes: this.#incoming.bytes(length), from, atMs: this.#arrivalMs() };
      }
      const reason = errno();
      if (reason === EAGAIN) break;
      // anything else is the pending error of an earlier send; its details are in the error queue
      if (reason !== EINTR && attempt === 15) check(-1, "receive from the cluster's socket");
    }
    this.#emptyAtMs = monotonicMs();
    return undefined;
  }

  /** Wall clock to monotonic by age. A wall clock that jumped cannot lead further than the last empty read. */
  #arrivalMs(): number {
    const nowMs = monotonicMs();
    const stamp = this.#incoming.control(SOL_SOCKET, SO_TIMESTAMPNS);
    if (stamp === undefined) return nowMs;
    libc.clockGettime(CLOCK_REALTIME, this.#clock);
    const ageMs = nanoseconds(this.#clock) - nanoseconds(stamp);
    return Math.min(nowMs, Math.max(this.#emptyAtMs, nowMs - Number(ageMs) / 1e6));
  }

  /** The next node whose kernel said that nobody listens on the port; undefined when there is none. */
  takeUnreachable(): IpAddress | undefined {
    for (let attempt = 0; attempt < 64; attempt++) {
      this.#incoming.reset();
      if (libc.recvmsg(this.fd, this.#incoming.header, MSG_ERRQUEUE) < 0) return undefined;
      const error = this.#incoming.control(IPPROTO_IP, IP_RECVERR);
      if (error === undefined || error.byteLength < 8) continue;
      const isRefusal =
        new DataView(error.buffer, error.byteOffset).getUint32(0, true) === ECONNREFUSED;
      if (isRefusal) return ipFromBytes(this.#incoming.address());
    }
    return undefined;
  }

  close(): void {
    libc.close(this.fd);
  }
}

function open(options: ClusterSocketOptions): number {
  if (libc.ifNameToIndex(options.interface) === 0) {
    throw new PanError(
      "PAN_INTERFACE_MISSING",
      `There is no network interface "${options.interface}"; name the one that leads to the other nodes.`,
    );
  }
  const fd = check(
    libc.socket(AF_INET, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0),
    "open a UDP socket",
  );
  try {
    setUp(fd, options);
  } catch (error) {
    libc.close(fd);
    throw error;
  }
  return fd;
}

function setUp(fd: number, options: ClusterSocketOptions): void {
  const set = (level: number, option: number, value: number): number => {
    const bytes = new Uint8Array(4);
    new DataView(bytes.buffer).setInt32(0, value, true);
    return libc.setsockopt(fd, level, option, bytes, 4);
  };
  bindToDevice(fd, options.interface);
  check(set(SOL_SOCKET, SO_BROADCAST, 1), "allow broadcasts");
  check(set(SOL_SOCKET, SO_TIMESTAMPNS, 1), "ask for times of arrival");
  check(set(IPPROTO_IP, IP_RECVERR, 1), "ask for ICMP errors");
  // refused in a container without CAP_NET_ADMIN; everything works without, only less well under load
  set(SOL_SOCKET, SO_RCVBUFFORCE, RECEIVE_BUFFER);
  set(SOL_SOCKET, SO_PRIORITY, PRIORITY_CONTROL);
  set(IPPROTO_IP, IP_TOS, TOS_CS6);
  try {
    const any = MessageHeader.socketAddress(Uint8Array.of(0, 0, 0, 0), options.port);
    check(libc.bind(fd, any, any.byteLength), `bind to UDP port ${options.port}`);
  } catch (cause) {
    if (errnoCode(cause) !== "EADDRINUSE") throw cause;
    const message = `UDP port ${options.port} is in use on this host: another agent already runs here.`;
    throw new PanError("PAN_AGENT_RUNNING", message, { cause });
  }
}

/** struct in_pktinfo: send from the dedicated address, whatever VIPs the interface has. */
function packetInfo(address: IpAddress): Uint8Array {
  const info = new Uint8Array(12);
  info.set(ipBytes(address), 4);
  return info;
}

const nanoseconds = (timespec: Uint8Array): bigint => {
  const view = new DataView(timespec.buffer, timespec.byteOffset);
  return view.getBigInt64(0, true) * 1_000_000_000n + view.getBigInt64(8, true);
};
