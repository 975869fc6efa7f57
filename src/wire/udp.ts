// UDP header (RFC 768): source port(2) destination port(2) | length(2) checksum(2). TCP has its ports in the same place.
import { uint16 } from "./network-order.ts";

export const UDP_LENGTH = 8;
/** The two ports, which UDP and TCP have first; an ICMP error quotes at least these. */
export const PORTS_LENGTH = 4;

export const sourcePort = (header: Uint8Array): number => uint16(header, 0);
export const destinationPort = (header: Uint8Array): number => uint16(header, 2);
