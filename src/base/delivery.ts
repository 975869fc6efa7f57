// How a cluster's frames reach its members (A13), and the MAC addresses that follow from it. Three cluster MACs are derived from
// the primary VIP and are listened to whatever the method is, so that a method can be changed while clients still send to the
// address of the one before (docs/adr/0007):
//
//   unicast    02:bf:a.b.c.d        all members' unicast address
//   multicast  03:bf:a.b.c.d        the same with the group bit
//   igmp       01:00:5e:7f:c.d      of the IPv4 group 239.255.c.d (RFC 1112, section 6.4), which members join
//
// What leaves a member for a client has the source MAC 02:HI:LO:b.c.d, HI:LO being the node's id. Ids end at 4095, so HI is at
// most 0f and a masked address is never a cluster MAC: a switch that learned one of those would stop flooding it.
import {
  compareIp,
  ipBytes,
  ipFromBytes,
  macFromBytes,
  type IpAddress,
  type MacAddress,
} from "./address.ts";
import type { NodeId } from "./ids.ts";

/** forward: one node receives and forwards. The others: every member sees every frame and one of them serves it. */
export const DELIVERY_METHODS = ["forward", "unicast", "multicast", "igmp"] as const;
export type DeliveryMethod = (typeof DELIVERY_METHODS)[number];
export type FloodedMethod = Exclude<DeliveryMethod, "forward">;
export const FLOODED_METHODS = ["unicast", "multicast", "igmp"] as const;

/** keyed: nobody outside can choose a slot. xor: as published, by exclusive or (A14). */
export const HASH_KINDS = ["keyed", "xor"] as const;
export type HashKind = (typeof HASH_KINDS)[number];

/** The last four bytes: of an IPv4 address all of it. */
const lastFour = (address: IpAddress): Uint8Array => ipBytes(address).slice(-4);

/** The address that every member listens to, beside its own. */
export function clusterMac(method: FloodedMethod, primary: IpAddress): MacAddress {
  const bytes = lastFour(primary);
  switch (method) {
    case "unicast":
      return macFromBytes(Uint8Array.of(0x02, 0xbf, ...bytes));
    case "multicast":
      return macFromBytes(Uint8Array.of(0x03, 0xbf, ...bytes));
    case "igmp":
      return macFromBytes(Uint8Array.of(0x01, 0x00, 0x5e, 0x7f, ...bytes.subarray(2)));
  }
}

/** The group to join so that switches which listen to IGMP send the cluster's frames here (A13.3). */
export const igmpGroup = (primary: IpAddress): IpAddress =>
  ipFromBytes(Uint8Array.of(239, 255, ...lastFour(primary).subarray(2)));

/** Source MAC of what a node sends in the name of a VIP, so that no switch learns where a cluster MAC is. */
export const maskedMac = (node: NodeId, primary: IpAddress): MacAddress =>
  macFromBytes(Uint8Array.of(0x02, node >>> 8, node & 0xff, ...lastFour(primary).subarray(1)));

/**
 * The VIP that the MACs are derived from: the one it was, while it is a VIP; else the lowest IPv4 VIP, or the lowest. It
 * stays when lower VIPs come, because clients remember the MACs.
 */
export function primaryVip(
  vips: readonly IpAddress[],
  previous: IpAddress | undefined,
): IpAddress | undefined {
  if (previous !== undefined && vips.includes(previous)) return previous;
  return vips.toSorted(compareIp)[0];
}
