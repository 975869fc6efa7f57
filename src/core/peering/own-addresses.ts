// Which addresses are a node's own where all share one MAC: what comes to the cluster MAC for one of them is for this node, and peers are told
// a dedicated MAC of it (C8, C9). Those of other interfaces are not: a bridge of containers has the same one on every member.
import type { IpAddress } from "#base/address.ts";

export interface PlacedAddress {
  readonly address: IpAddress;
  /** Index of its interface. */
  readonly link: number;
}

export interface OwnRules {
  /** By which members know this node. */
  readonly first: IpAddress;
  /** In the configuration, as this node's; they are its own wherever they are. */
  readonly listed: ReadonlySet<IpAddress>;
  /** Of the cluster, whoever has them now. */
  readonly virtual: ReadonlySet<IpAddress>;
  /** Interfaces that have the cluster MAC. */
  readonly links: ReadonlySet<number>;
}

const isLoopback = (address: IpAddress): boolean => address === "::1" || address.startsWith("127.");

/** Each once. Those that the cluster cannot do without come first, since a map has room for so many. */
export function ownAddresses<T extends PlacedAddress>(
  present: readonly T[],
  { first, listed, virtual, links }: OwnRules,
): T[] {
  const rank = ({ address }: T): number => {
    if (address === first) return 0;
    return listed.has(address) ? 1 : 2;
  };
  const own = present
    .filter(({ address }) => !virtual.has(address) && !isLoopback(address))
    .filter((each) => links.has(each.link) || rank(each) < 2)
    // the same on two interfaces: where it is answered for
    .toSorted((a, b) => Number(!links.has(a.link)) - Number(!links.has(b.link)));
  const once = new Map<IpAddress, T>();
  for (const each of own) if (!once.has(each.address)) once.set(each.address, each);
  return [...once.values()].toSorted((a, b) => rank(a) - rank(b));
}
