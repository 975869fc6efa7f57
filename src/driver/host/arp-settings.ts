// The two sysctls by which Linux keeps quiet about addresses that are not on the interface asked:
//   arp_ignore=1    answer ARP only for addresses of the very interface; the VIPs on lo stay silent
//   arp_announce=2  never name a VIP as the sender of our own ARP requests: neighbours would learn it
// The kernel uses the larger of conf/all and conf/<interface>, so setting the interface's own is enough
// and leaves the host's other interfaces alone. IPv6 needs neither: Neighbor Discovery answers, and
// takes source addresses, per interface. rp_filter is not touched: the way back to a client of a VIP is
// the interface its packets come in on.
import { readFileSync, writeFileSync } from "node:fs";
import { PanError } from "#base/error-codes.ts";
import type { SysctlName } from "./host-journal.ts";

interface Setting {
  readonly name: SysctlName;
  readonly value: number;
}

export const ARP_SETTINGS: readonly Setting[] = [
  { name: "arp_ignore", value: 1 },
  { name: "arp_announce", value: 2 },
];

const STRICT = 1;
const LOOSE = 2;

/**
 * Of a private path (B11). Clients' packets come in there that go back by another interface, so a strict reverse path filter would
 * drop them; where one is set, for the path or for all interfaces, the path's is made loose.
 */
export function pathSettings(device: string): readonly Setting[] {
  const strict = ["all", device].some((each) => readSysctl(each, "rp_filter") === STRICT);
  return strict ? [...ARP_SETTINGS, { name: "rp_filter", value: LOOSE }] : ARP_SETTINGS;
}

const pathOf = (device: string, name: SysctlName): string =>
  `/proc/sys/net/ipv4/conf/${device}/${name}`;

/** Undefined: there is no such device. Throws PAN_SYSCALL for other failures. */
export function readSysctl(device: string, name: SysctlName): number | undefined {
  try {
    return Number(readFileSync(pathOf(device, name), "utf8"));
  } catch (cause) {
    if ((cause as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw new PanError("PAN_SYSCALL", `Cannot read ${pathOf(device, name)}`, { cause });
  }
}

/** By which the kernel goes: the larger of the interface's own and that of all interfaces. */
export const effectiveSysctl = (device: string, name: SysctlName): number =>
  Math.max(readSysctl(device, name) ?? 0, readSysctl("all", name) ?? 0);

export function writeSysctl(device: string, name: SysctlName, value: number): void {
  try {
    writeFileSync(pathOf(device, name), `${value}\n`);
  } catch (cause) {
    throw new PanError("PAN_SYSCALL", `Cannot write ${value} to ${pathOf(device, name)}`, {
      cause,
    });
  }
}
