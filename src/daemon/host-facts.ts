// What the agent must know of its host before it touches it, and what must not be so (A2: one machine per address).
import { readFileSync } from "node:fs";
import type { IpAddress, MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { findConflict } from "#driver/host/conflict.ts";
import { unmetCapabilities, unmetRequirements } from "#driver/host/requirements.ts";
import { Rtnetlink } from "#driver/netlink/rtnetlink.ts";

export interface HostFacts {
  /** The cluster interface. */
  readonly interface: string;
  readonly mac: MacAddress;
}

/** Before all else: without them, every other refusal would be misleading. PAN_NOT_ROOT. */
export function requireCapabilities(): void {
  const [unmet] = unmetCapabilities(readFileSync("/proc/self/status", "utf8"));
  if (unmet !== undefined) throw new PanError(unmet.code, `${unmet.missing}: ${unmet.remedy}`);
}

/** Looks only. Throws the first thing that is missing, with the others named, or PAN_ADDRESS_IN_USE. */
export function inspectHost(
  interfaceName: string,
  address: IpAddress,
  vips: readonly IpAddress[],
): HostFacts {
  const unmet = unmetRequirements({ interface: interfaceName, address, vips });
  const [first] = unmet;
  if (first !== undefined) {
    const lines = unmet.map(({ missing, remedy }) => `${missing}: ${remedy}`);
    throw new PanError(first.code, lines.join("\n"));
  }
  const netlink = Rtnetlink.open();
  try {
    const link = netlink.links().find(({ name }) => name === interfaceName);
    if (link?.mac === undefined) {
      throw new PanError(
        "PAN_INTERFACE_MISSING",
        `${interfaceName} has no Ethernet address; the cluster needs an Ethernet interface`,
      );
    }
    const other = findConflict({ link: link.index, mac: link.mac, address });
    if (other !== undefined) {
      throw new PanError(
        "PAN_ADDRESS_IN_USE",
        `${other} on this network already uses ${address}; give one of the two machines another address`,
      );
    }
    return { interface: interfaceName, mac: link.mac };
  } finally {
    netlink.close();
  }
}
