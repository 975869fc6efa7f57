// Builds switches, hosts and the links between them: few iproute2 processes, since each costs more
// than all the changes it makes. A switch is a bridge in its own namespace, so that the machine's own
// network sees nothing of the lab.
import { existsSync, writeFileSync } from "node:fs";
import path from "node:path";
import { PanError } from "#base/error-codes.ts";
import { inNetns } from "#driver/libc.ts";
import { ipBatch } from "./ip.ts";
import { netnsName, netnsPath } from "./record.ts";
import {
  DEFAULT_MTU,
  interfaceOf,
  macOf,
  portOf,
  type Host,
  type Link,
  type Topology,
} from "./topology.ts";

/** Capital letters, so that no port can have the name. */
export const BRIDGE = "BR";

const HOST_SYSCTLS: Readonly<Record<string, string>> = {
  // an address that is tentative for a second would make every bring-up a second longer
  "net.ipv6.conf.all.accept_dad": "0",
  "net.ipv6.conf.default.accept_dad": "0",
  "net.ipv6.conf.default.dad_transmits": "0",
  "net.ipv6.conf.default.accept_ra": "0",
};
const SWITCH_SYSCTLS: Readonly<Record<string, string>> = {
  "net.ipv6.conf.all.disable_ipv6": "1",
  "net.ipv6.conf.default.disable_ipv6": "1",
};
/** A bridge must not hand frames to the IP filters of its namespace; absent without br_netfilter. */
const BRIDGE_FILTERS = ["ip", "ip6", "arp"].map(
  (family) => `net.bridge.bridge-nf-call-${family}tables`,
);

/** Makes everything of the topology except its programs. What exists is not looked at. */
export async function buildNetwork(lab: string, topology: Topology): Promise<void> {
  const nodes = [...topology.switches, ...topology.hosts];
  await ipBatch(nodes.map(({ name }) => `netns add ${netnsName(lab, name)}`));
  for (const { name } of topology.switches) setSwitchSysctls(netnsName(lab, name));
  for (const host of topology.hosts) setSysctls(netnsName(lab, host.name), HOST_SYSCTLS);
  for (const { name } of topology.switches) {
    const ports = topology.hosts.flatMap((host) => portLines(lab, host, name));
    await ipBatch([...bridgeLines(BRIDGE), ...ports], netnsName(lab, name));
  }
  for (const host of topology.hosts) await configureHost(lab, host);
}

/** Makes one host again, after `removeHost`. */
export async function buildHost(lab: string, host: Host): Promise<void> {
  await ipBatch([`netns add ${netnsName(lab, host.name)}`]);
  setSysctls(netnsName(lab, host.name), HOST_SYSCTLS);
  for (const name of new Set((host.links ?? []).map((link) => link.switch))) {
    await ipBatch(portLines(lab, host, name), netnsName(lab, name));
  }
  await configureHost(lab, host);
}

export const bridgeLines = (name: string): string[] => [
  `link add name ${name} type bridge stp_state 0 forward_delay 0 mcast_snooping 0`,
  `link set dev ${name} up`,
];

function portLines(lab: string, host: Host, switchName: string): string[] {
  return (host.links ?? [])
    .filter((link) => link.switch === switchName)
    .flatMap((link) => {
      const port = portOf(host, link);
      const mtu = link.mtu ?? DEFAULT_MTU;
      const peer = `name ${interfaceOf(link)} address ${macOf(host, link)} mtu ${mtu}`;
      return [
        `link add name ${port} mtu ${mtu} type veth peer ${peer} netns ${netnsName(lab, host.name)}`,
        `link set dev ${port} master ${BRIDGE} up`,
      ];
    });
}

async function configureHost(lab: string, host: Host): Promise<void> {
  const lines = ["link set dev lo up"];
  for (const link of host.links ?? []) lines.push(...linkLines(link));
  for (const { to, via } of host.routes ?? []) lines.push(`route add ${to} via ${via}`);
  await ipBatch(lines, netnsName(lab, host.name));
  // last: they may name interfaces
  setSysctls(netnsName(lab, host.name), host.sysctls ?? {});
}

function linkLines(link: Link): string[] {
  const name = interfaceOf(link);
  const addresses = (link.addresses ?? []).map((address) => {
    const options = address.includes(":") ? " nodad" : "";
    return `addr add ${address} dev ${name}${options}`;
  });
  return [`link set dev ${name} up`, ...addresses];
}

function setSwitchSysctls(netns: string): void {
  const present = inNetns(netnsPath(netns), () =>
    BRIDGE_FILTERS.filter((key) => existsSync(sysctlPath(key))),
  );
  setSysctls(netns, {
    ...SWITCH_SYSCTLS,
    ...Object.fromEntries(present.map((key) => [key, "0"])),
  });
}

// interface names have no dots here (topology.ts), so every dot separates
const sysctlPath = (key: string): string => path.join("/proc/sys", key.replaceAll(".", "/"));

function setSysctls(netns: string, sysctls: Readonly<Record<string, string>>): void {
  inNetns(netnsPath(netns), () => {
    for (const [key, value] of Object.entries(sysctls)) {
      try {
        writeFileSync(sysctlPath(key), value);
      } catch (cause) {
        const reason = cause instanceof Error ? cause.message : String(cause);
        const message = `Cannot set ${key} to "${value}" in ${netns}: ${reason}`;
        throw new PanError("PAN_LAB_FAILED", message, { cause });
      }
    }
  });
}
