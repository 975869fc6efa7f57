// The host list (C2): which addresses members have, and the dedicated MAC of each. From the configuration, and kept current by
// keepalives: a member that says it has another address has that one, and the configured one no longer (C16).
//
// Two nodes of one dedicated MAC could not be told apart: whoever comes second is refused, and said so (C14).
import { compareIp, type IpAddress, type MacAddress } from "#base/address.ts";
import { clusterMac, FLOODED_METHODS, maskedMac } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import { dedicatedMac, isGroupMac, type PeerMacs } from "#base/peering.ts";

/** A node that may be a member. */
export interface ListedNode {
  readonly id: NodeId;
  /** By which members talk to each other. */
  readonly address: IpAddress;
  /** More of its own: IPv6, and those of other interfaces. */
  readonly addresses: readonly IpAddress[];
  /** Of the kind "table". */
  readonly mac?: MacAddress;
}

/** A member as keepalives tell of it. */
export interface HeardMember {
  readonly id: NodeId;
  readonly address: IpAddress;
}

/** How an address became known. */
export type PeerSource = "configured" | "keepalive";

export interface HostRow {
  readonly address: IpAddress;
  readonly node: NodeId;
  readonly mac: MacAddress;
  readonly source: PeerSource;
  readonly live: boolean;
}

export interface HostList {
  /** Sorted by node and address; with the node's own. */
  readonly rows: readonly HostRow[];
  /** Not listed, because another node's MAC is the same. */
  readonly refused: readonly HostRow[];
}

export function hostList(
  nodes: readonly ListedNode[],
  members: readonly HeardMember[],
  macs: PeerMacs,
): HostList {
  const heard = new Map(members.map((member) => [member.id, member.address]));
  const candidates = nodes.flatMap((node) => rowsOf(node, heard.get(node.id), macs));
  const owners = reservedMacs(macs);
  const taken = new Set<IpAddress>();
  const rows: HostRow[] = [];
  const refused: HostRow[] = [];
  // what is heard is no guess: it comes before what is written about somebody else
  for (const row of candidates.toSorted(bySource)) {
    const owner = owners.get(row.mac) ?? row.node;
    const distinct = macs.kind === "shared" || owner === row.node;
    (distinct && !taken.has(row.address) ? rows : refused).push(row);
    if (!distinct) continue;
    owners.set(row.mac, row.node);
    taken.add(row.address);
  }
  return { rows: rows.toSorted(byNode), refused: refused.toSorted(byNode) };
}

function rowsOf(node: ListedNode, heard: IpAddress | undefined, macs: PeerMacs): HostRow[] {
  const live = heard !== undefined;
  const addresses = [...new Set([heard ?? node.address, ...node.addresses])];
  return addresses.map((address) => ({
    address,
    node: node.id,
    mac: dedicatedMac(macs, node, address),
    source: address === heard ? "keepalive" : "configured",
    live,
  }));
}

const NOBODY = 0;

/** MACs that no node may have as its dedicated one. */
function reservedMacs({ primary }: PeerMacs): Map<MacAddress, number> {
  return new Map(FLOODED_METHODS.map((method) => [clusterMac(method, primary), NOBODY]));
}

const bySource = (a: HostRow, b: HostRow): number =>
  Number(a.source === "configured") - Number(b.source === "configured") || byNode(a, b);
const byNode = (a: HostRow, b: HostRow): number =>
  a.node - b.node || compareIp(a.address, b.address);

/**
 * Addresses that a stack must ask for anew: there is another MAC now, or their node has died. What is sent to the MAC of a node that
 * died is flooded as soon as a switch has forgotten it, to outsiders as well (C8).
 */
export function outdated(before: HostList, after: HostList): IpAddress[] {
  const now = new Map(after.rows.map((row) => [row.address, row]));
  const isOutdated = ({ address, mac, live }: HostRow): boolean => {
    const row = now.get(address);
    return row?.mac !== mac || (live && !row.live);
  };
  return before.rows.filter(isOutdated).map(({ address }) => address);
}

/** Source of frames to outsiders, and to peers: only a unicast dedicated MAC of one node can be a source. */
export function sourceMacs(
  self: NodeId,
  macs: PeerMacs,
  own: MacAddress,
): { readonly outsiders: MacAddress; readonly peers: MacAddress } {
  const outsiders = maskedMac(self, macs.primary);
  return { outsiders, peers: macs.kind !== "shared" && !isGroupMac(own) ? own : outsiders };
}
