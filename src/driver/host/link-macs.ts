// The MAC of interfaces that have the cluster MAC (C1, C17), in the journal before it is changed, so that whoever removes
// Panoply puts back what was there. While the link is up: a link that goes down loses its IPv6 addresses and routes.
import type { MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { refusedWith } from "../netlink/socket.ts";
import type { Link, Rtnetlink } from "../netlink/rtnetlink.ts";
import type { JournalLink } from "./host-journal.ts";

export interface LinkMacPlan {
  /** The journal's entries from now on. */
  readonly entries: readonly JournalLink[];
  /** Of these the interface has another MAC now. */
  readonly missing: readonly JournalLink[];
}

/** What an interface had before us is what it has now, unless the journal knows better. */
export function planLinkMacs(
  links: readonly Link[],
  interfaces: readonly string[],
  mac: MacAddress,
  recorded: readonly JournalLink[],
): LinkMacPlan {
  const entries: JournalLink[] = [];
  const missing: JournalLink[] = [];
  for (const device of interfaces) {
    const present = links.find((link) => link.name === device)?.mac;
    if (present === undefined) continue; // requirements were checked before
    const known = recorded.find((entry) => entry.device === device && entry.after === present);
    const entry = { device, before: known?.before ?? present, after: mac };
    entries.push(entry);
    if (present !== mac) missing.push(entry);
  }
  return { entries, missing };
}

/** Its own MAC, of an interface that an agent may have given the cluster MAC. */
export function ownMac(link: Link, recorded: readonly JournalLink[]): MacAddress | undefined {
  const entry = recorded.find(({ device, after }) => device === link.name && after === link.mac);
  return entry?.before ?? link.mac;
}

/** PAN_HOST_SETTING when the driver wants the link down for it. */
export function setLinkMac(netlink: Rtnetlink, link: Link, mac: MacAddress): void {
  try {
    netlink.setLinkMac(link.index, mac);
  } catch (error) {
    if (!refusedWith(error, "EBUSY", "EOPNOTSUPP", "EPERM")) throw error;
    throw new PanError(
      "PAN_HOST_SETTING",
      `${link.name} does not take the MAC ${mac} while its link is up: set it before the agent starts ` +
        `(\`ip link set ${link.name} down\`, \`ip link set ${link.name} address ${mac}\`, \`ip link set ${link.name} up\`), ` +
        "allow it in the virtual machine's settings, or remove the section peering",
      { cause: error },
    );
  }
}
