// Numbers of Linux's TCP sockets that connection repair needs (include/uapi/linux/tcp.h, sockios.h), and reading and writing them.
import { type IpAddress, familyOf, ipBytes, ipFromBytes } from "#base/address.ts";
import { unmapped } from "#base/mapped-address.ts";
import { check, libc } from "../libc.ts";
import { AF_INET, AF_INET6 } from "../sockets.ts";

export const SOL_TCP = 6;
export const TCP_MAXSEG = 2;
export const TCP_INFO = 11;
export const TCP_REPAIR = 19;
export const TCP_REPAIR_QUEUE = 20;
export const TCP_QUEUE_SEQ = 21;
export const TCP_REPAIR_OPTIONS = 22;
export const TCP_TIMESTAMP = 24;
export const TCP_REPAIR_WINDOW = 29;

/** Requests for the length of a queue. */
export const SIOCOUTQ = 0x5411;

/** Values of TCP_REPAIR. Leaving with a window probe tells the peer our window; leaving without one sends nothing. */
export const REPAIR_ON = 1;
export const REPAIR_OFF = 0;
export const REPAIR_OFF_NO_PROBE = -1;

/** Values of TCP_REPAIR_QUEUE. */
export const RECEIVE_QUEUE = 1;
export const SEND_QUEUE = 2;

const INTEGER = 4;
/** Read by the kernel before the call is over. A takeover sets twenty options of each of a thousand sockets. */
const VALUE = new Uint8Array(INTEGER);
const VALUE_VIEW = new DataView(VALUE.buffer);

export function setOption(fd: number, level: number, option: number, value: number): void {
  VALUE_VIEW.setInt32(0, value | 0, true);
  const result = libc.setsockopt(fd, level, option, VALUE, INTEGER);
  check(result, `set option ${option} of a TCP socket`);
}

/** The option's bytes, as many as the kernel has. */
export function readOption(fd: number, level: number, option: number, length: number): DataView {
  const bytes = new Uint8Array(length);
  const size = new Uint8Array(INTEGER);
  new DataView(size.buffer).setUint32(0, length, true);
  check(libc.getsockopt(fd, level, option, bytes, size), `read option ${option} of a TCP socket`);
  return new DataView(bytes.buffer);
}

export const readNumber = (fd: number, option: number): number =>
  readOption(fd, SOL_TCP, option, INTEGER).getUint32(0, true);

/** A count of bytes in one of the socket's queues. */
export function readQueued(fd: number, request: number): number {
  const bytes = new Uint8Array(INTEGER);
  check(libc.ioctl(fd, request, bytes), `read a queue's length of a TCP socket`);
  return new DataView(bytes.buffer).getInt32(0, true);
}

/** struct sockaddr_in or sockaddr_in6. */
export function socketAddress(address: IpAddress, port: number): Uint8Array {
  const is4 = familyOf(address) === 4;
  const bytes = new Uint8Array(is4 ? 16 : 28);
  const view = new DataView(bytes.buffer);
  view.setUint16(0, is4 ? AF_INET : AF_INET6, true);
  view.setUint16(2, port);
  bytes.set(ipBytes(address), is4 ? 4 : 8);
  return bytes;
}

export interface Endpoint {
  readonly address: IpAddress;
  readonly port: number;
}

export function endpointOf(fd: number, which: "own" | "peer"): Endpoint {
  const bytes = new Uint8Array(28);
  const size = new Uint8Array(INTEGER);
  new DataView(size.buffer).setUint32(0, bytes.byteLength, true);
  const call = which === "own" ? libc.getsockname : libc.getpeername;
  check(call(fd, bytes, size), "read an address of a TCP socket");
  const view = new DataView(bytes.buffer);
  const is4 = view.getUint16(0, true) === AF_INET;
  // a socket that also takes IPv6 shows an IPv4 address as a mapped one
  const address = ipFromBytes(unmapped(is4 ? bytes.subarray(4, 8) : bytes.subarray(8, 24)));
  return { address, port: view.getUint16(2) };
}
