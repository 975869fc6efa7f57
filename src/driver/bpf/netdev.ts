// What the packet program must know about its interface: index, MAC, MTU, driver. Asked by ioctl, because /sys shows
// the namespace in which it was mounted, not the caller's.
import { macFromBytes, type MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { addressOf, check, libc, O_CLOEXEC } from "../libc.ts";
import { AF_INET, SOCK_DGRAM } from "../sockets.ts";

const IFREQ_SIZE = 40;
const SIOCGIFFLAGS = 0x8913;
const SIOCGIFMTU = 0x8921;
const SIOCGIFHWADDR = 0x8927;
const SIOCETHTOOL = 0x8946;
const IFF_UP = 0x1;
const IFF_RUNNING = 0x40;
const ETHTOOL_GDRVINFO = 3;
const DRVINFO_SIZE = 196;

export interface Netdev {
  readonly name: string;
  readonly ifindex: number;
  readonly mac: MacAddress;
  readonly mtu: number;
  /** "veth", "virtio_net" …; empty when the driver does not say. */
  readonly driver: string;
}

function request(fd: number, code: number, name: string, pointer?: Uint8Array): Buffer {
  const ifreq = Buffer.alloc(IFREQ_SIZE);
  ifreq.write(name, 0, 15, "latin1");
  if (pointer !== undefined) ifreq.writeBigUInt64LE(addressOf(pointer), 16);
  check(libc.ioctl(fd, code, ifreq), `ask for properties of interface ${name}`);
  return ifreq;
}

function driverOf(fd: number, name: string): string {
  const drvinfo = Buffer.alloc(DRVINFO_SIZE);
  drvinfo.writeUInt32LE(ETHTOOL_GDRVINFO, 0);
  try {
    request(fd, SIOCETHTOOL, name, drvinfo);
  } catch {
    // not every kind of interface answers ethtool; then it has no native XDP that we would know of
    return "";
  }
  return drvinfo.toString("latin1", 4, 36).replace(/\0.*$/s, "");
}

/** Undefined when this network namespace has no such interface. */
export function findNetdev(name: string): Netdev | undefined {
  const ifindex = libc.ifNameToIndex(name);
  if (ifindex === 0) return undefined;
  const fd = check(libc.socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0), "open a socket");
  try {
    const hardware = request(fd, SIOCGIFHWADDR, name);
    return {
      name,
      ifindex,
      mac: macFromBytes(hardware.subarray(18, 24)),
      mtu: request(fd, SIOCGIFMTU, name).readInt32LE(16),
      driver: driverOf(fd, name),
    };
  } finally {
    libc.close(fd);
  }
}

/** The interface is up, and so is its link; false when there is no such interface. */
export function hasCarrier(name: string): boolean {
  if (libc.ifNameToIndex(name) === 0) return false;
  const fd = check(libc.socket(AF_INET, SOCK_DGRAM | O_CLOEXEC, 0), "open a socket");
  try {
    const flags = request(fd, SIOCGIFFLAGS, name).readUInt16LE(16);
    return (flags & (IFF_UP | IFF_RUNNING)) === (IFF_UP | IFF_RUNNING);
  } finally {
    libc.close(fd);
  }
}

/** PAN_INTERFACE_MISSING when there is none. */
export function netdev(name: string): Netdev {
  const found = findNetdev(name);
  if (found !== undefined) return found;
  throw new PanError(
    "PAN_INTERFACE_MISSING",
    `There is no network interface "${name}". Name one that "ip link" shows in cluster.interface.`,
  );
}
