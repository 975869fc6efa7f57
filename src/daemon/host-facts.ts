// What the agent must know of its host before it touches it, and what must not be so (A2: one machine per address).
import { readFileSync } from "node:fs";
import type { IpAddress, MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { findConflict } from "#driver/host/conflict.ts";
import { hostIdentity, JournalFile } from "#driver/host/host-journal.ts";
import { ownMac } from "#driver/host/link-macs.ts";
import { unmetCapabilities, unmetRequirements, unmetText } from "#driver/host/requirements.ts";
import { type Link, Rtnetlink } from "#driver/netlink/rtnetlink.ts";

/** An interface that carries client traffic. */
export interface PortFacts {
  readonly interface: string;
  /** By which members know this node. */
  readonly mac: MacAddress;
  /** The interface's own, where that is another one: with peering, the cluster MAC. */
  readonly linkMac?: MacAddress;
}

/** With peering no interface keeps its own MAC. */
export interface PeeringMacs {
  readonly mac: MacAddress;
  readonly linkMac: MacAddress;
}

/** Of the cluster interface, and of the arms. */
export interface HostFacts extends PortFacts {
  readonly arms: readonly PortFacts[];
  /** Private, in the order of their segments (B11). */
  readonly paths: readonly PortFacts[];
}

/** Before all else: without them, every other refusal would be misleading. PAN_NOT_ROOT. */
export function requireCapabilities(): void {
  const [unmet] = unmetCapabilities(readFileSync("/proc/self/status", "utf8"));
  if (unmet !== undefined) throw new PanError(unmet.code, unmetText(unmet));
}

export interface Interfaces {
  /** The cluster interface. */
  readonly interface: string;
  readonly arms: readonly string[];
  readonly paths: readonly string[];
}

/** Every interface that has the packet program; the cluster interface first. */
export const everyPort = (facts: HostFacts): readonly PortFacts[] => [
  facts,
  ...facts.arms,
  ...facts.paths,
];

interface FoundPort extends PortFacts {
  readonly link: number;
}

/** @param ownMacOf of an interface that an earlier agent may have given the cluster MAC */
function portFacts(
  links: readonly Link[],
  name: string,
  ownMacOf: (link: Link) => MacAddress | undefined,
): FoundPort {
  const link = links.find((each) => each.name === name);
  const mac = link && ownMacOf(link);
  if (link !== undefined && mac !== undefined) return { interface: name, mac, link: link.index };
  throw new PanError(
    "PAN_INTERFACE_MISSING",
    `${name} has no Ethernet address; the cluster needs an Ethernet interface`,
  );
}

/** Looks only. Throws the first thing that is missing, with the others named, or PAN_ADDRESS_IN_USE. */
export function inspectHost(
  { interface: interfaceName, arms, paths }: Interfaces,
  address: IpAddress,
  vips: readonly IpAddress[],
  { stateFolder, peering }: { readonly stateFolder: string; readonly peering?: PeeringMacs },
): HostFacts {
  const unmet = unmetRequirements({ interface: interfaceName, arms, paths, address, vips });
  const [first] = unmet;
  if (first !== undefined) {
    throw new PanError(first.code, unmet.map(unmetText).join("\n"));
  }
  const netlink = Rtnetlink.open();
  try {
    const links = netlink.links();
    const { links: recorded } = new JournalFile(stateFolder, hostIdentity()).read();
    const ownMacOf = (link: Link): MacAddress | undefined => ownMac(link, recorded);
    const port = portFacts(links, interfaceName, ownMacOf);
    const other = findConflict({ ...port, address });
    if (other !== undefined) {
      throw new PanError(
        "PAN_ADDRESS_IN_USE",
        `${other} on this network already uses ${address}; give one of the two machines another address`,
      );
    }
    return {
      ...port,
      ...peering,
      arms: arms.map((arm) => ({ ...portFacts(links, arm, ownMacOf), ...peering })),
      paths: paths.map((path) => portFacts(links, path, ownMacOf)),
    };
  } finally {
    netlink.close();
  }
}
