// Which MAC addresses, beside its own, an interface listens to: the cluster MACs, on every member (A13). By rtnetlink, which
// takes unicast and group addresses alike; where the hardware has no filter for unicast addresses, the kernel makes the
// interface promiscuous. What somebody else made it listen to is used and left.
//
// A MAC that clients were once told is kept while it is one of the cluster's: their neighbour caches live on after a
// change of the method.
import type { MacAddress } from "#base/address.ts";
import type { Rtnetlink } from "../netlink/rtnetlink.ts";
import type { JournalMac } from "./host-journal.ts";

export interface DesiredMacs {
  /** Must be listened to. */
  readonly listen: readonly MacAddress[];
  /** Stays if it is there. */
  readonly keep: readonly MacAddress[];
}

export const NO_MACS: DesiredMacs = { listen: [], keep: [] };

export interface MacPlan {
  readonly missing: readonly JournalMac[];
  readonly surplus: readonly JournalMac[];
  /** Ours now, and still ours afterwards if nothing fails. */
  readonly kept: readonly JournalMac[];
}

export const macKeyOf = ({ device, mac }: JournalMac): string => `${device} ${mac}`;

/** @param recorded ours, of this and earlier agents; @param links indices of the interfaces there are, by name */
export function planMacs(
  netlink: Rtnetlink,
  interfaces: readonly string[],
  desired: DesiredMacs,
  { recorded, links }: { recorded: readonly JournalMac[]; links: ReadonlyMap<string, number> },
): MacPlan {
  const onAll = (macs: readonly MacAddress[]): JournalMac[] =>
    interfaces.flatMap((device) => macs.map((mac) => ({ device, mac })));
  const devices = new Set([...interfaces, ...recorded.map((entry) => entry.device)]);
  const found = new Set(
    [...devices].flatMap((name) => {
      const link = links.get(name);
      const macs = link === undefined ? [] : netlink.listenedMacs(link);
      return macs.map((mac) => macKeyOf({ device: name, mac }));
    }),
  );
  const wanted = new Set(onAll([...desired.listen, ...desired.keep]).map(macKeyOf));
  const ours = recorded.filter((entry) => found.has(macKeyOf(entry)));
  return {
    missing: onAll(desired.listen).filter((entry) => !found.has(macKeyOf(entry))),
    surplus: ours.filter((entry) => !wanted.has(macKeyOf(entry))),
    kept: ours.filter((entry) => wanted.has(macKeyOf(entry))),
  };
}
