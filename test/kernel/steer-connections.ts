// TCP connections in the kernel's own table, made without a packet (TCP_REPAIR): what the packet program looks into
// when it asks whether this node knows a connection.
import { check, libc, O_CLOEXEC } from "#driver/libc.ts";

const TCP_REPAIR = 19;
const IP_TRANSPARENT = 19;
const IPV6_TRANSPARENT = 75;

/** Addresses of 4 or 16 bytes, both alike. */
export interface Connection {
  readonly client: Uint8Array;
  readonly clientPort: number;
  readonly server: Uint8Array;
  readonly serverPort: number;
}

function socketAddress(address: Uint8Array, port: number): Buffer {
  const isIpv4 = address.byteLength === 4;
  const bytes = Buffer.alloc(isIpv4 ? 16 : 28);
  bytes.writeUInt16LE(isIpv4 ? 2 : 10, 0);
  bytes.writeUInt16BE(port, 2);
  bytes.set(address, isIpv4 ? 4 : 8);
  return bytes;
}

/** A socket bound to an address that no interface has, beside others on the same port. */
function boundSocket(address: Uint8Array, port: number): number {
  const isIpv4 = address.byteLength === 4;
  const fd = check(libc.socket(isIpv4 ? 2 : 10, 1 | O_CLOEXEC, 0), "open a TCP socket");
  const one = new Uint8Array(Uint32Array.of(1).buffer);
  check(libc.setsockopt(fd, 6, TCP_REPAIR, one, 4), "set TCP_REPAIR");
  const [level, option] = isIpv4 ? [0, IP_TRANSPARENT] : [41, IPV6_TRANSPARENT];
  check(libc.setsockopt(fd, level, option, one, 4), "set IP_TRANSPARENT");
  const from = socketAddress(address, port);
  check(libc.bind(fd, from, from.byteLength), "bind");
  return fd;
}

/** Answers the socket of an established connection; close it. */
export function establish({ client, clientPort, server, serverPort }: Connection): number {
  const fd = boundSocket(server, serverPort);
  const to = socketAddress(client, clientPort);
  check(libc.connect(fd, to, to.byteLength), "connect");
  return fd;
}

/** Answers a listening socket, which knows no connection; close it. Before any other socket on that port. */
export function listenAt(address: Uint8Array, port: number): number {
  const fd = boundSocket(address, port);
  const off = new Uint8Array(4);
  check(libc.setsockopt(fd, 6, TCP_REPAIR, off, 4), "clear TCP_REPAIR");
  check(libc.listen(fd, 16), "listen");
  return fd;
}
