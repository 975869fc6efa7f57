// Frames that tell every neighbour at once which MAC address an IP address is at now (A3, A5): gratuitous
// ARP for IPv4, unsolicited Neighbor Advertisement for IPv6.
//
// IPv4 gets both forms of gratuitous ARP, since each is ignored by somebody: the request (RFC 5227
// section 2.3, "ARP Announcement") and the reply, which counts as gratuitous for Linux only when its
// target hardware address is the sender's (RFC 5944 section 4.6).
import { familyOf, ipBytes, macBytes, type IpAddress, type MacAddress } from "#base/address.ts";
import { encodeArp, type Arp } from "./arp.ts";
import { BROADCAST, encodeEthernet, ETHERTYPE_ARP, ETHERTYPE_IPV6 } from "./ethernet.ts";
import { encodeUnsolicitedAdvertisement } from "./ndp.ts";

/** Ethernet group of ff02::1 (RFC 2464 section 7). */
const ALL_NODES_MAC = Uint8Array.of(0x33, 0x33, 0, 0, 0, 1);
const UNKNOWN_MAC = new Uint8Array(6);

/**
 * Whole Ethernet frames that announce `address` at `mac`, in the order in which to send them.
 * @param from the sender's own MAC: no switch may take it for the place of a MAC that several nodes share
 */
export function announcementFrames(
  address: IpAddress,
  mac: MacAddress,
  from: MacAddress,
): Uint8Array[] {
  const [told, source] = [macBytes(mac), macBytes(from)];
  const bytes = ipBytes(address);
  if (familyOf(address) === 6) {
    const header = { destination: ALL_NODES_MAC, source, etherType: ETHERTYPE_IPV6 };
    return [encodeEthernet(header, encodeUnsolicitedAdvertisement(bytes, told))];
  }
  const header = { destination: BROADCAST, source, etherType: ETHERTYPE_ARP };
  const arp = (operation: Arp["operation"], targetMac: Uint8Array): Uint8Array =>
    encodeArp({ operation, senderMac: told, senderIp: bytes, targetMac, targetIp: bytes });
  return [
    encodeEthernet(header, arp("request", UNKNOWN_MAC)),
    encodeEthernet(header, arp("reply", told)),
  ];
}
