// Numbers of Linux's sockets that several kinds of them need (socket(2), socket(7)), and binding one to an interface.
import { check, libc } from "./libc.ts";

export const AF_INET = 2;
export const AF_INET6 = 10;
export const AF_NETLINK = 16;
export const SOCK_STREAM = 1;
export const SOCK_DGRAM = 2;
export const SOCK_RAW = 3;
export const SOCK_NONBLOCK = 0o4000;
export const SOCK_CLOEXEC = 0o2000000;
export const SOL_SOCKET = 1;
const SO_BINDTODEVICE = 25;

/** It gets and sends by this interface alone. Throws PAN_SYSCALL. */
export function bindToDevice(fd: number, interfaceName: string): void {
  const device = new TextEncoder().encode(`${interfaceName}\0`);
  check(
    libc.setsockopt(fd, SOL_SOCKET, SO_BINDTODEVICE, device, device.byteLength),
    `bind to the interface ${interfaceName}`,
  );
}
