// ICMP (RFC 792) and ICMPv6 (RFC 4443):  type(1) code(1) checksum(2) | rest of header(4) | message.
// An error quotes the packet that caused it, from its IP header on; there the flow that it belongs to is found.
import type { Family } from "#base/address.ts";

/** Header of every message that we look at; in an error, the quoted packet follows. */
export const ICMP_LENGTH = 8;
/** ICMP; its codes say why. */
export const DESTINATION_UNREACHABLE = 3;
// destination unreachable, time exceeded, parameter problem; source quench and redirect are obsolete or of the link
const ERRORS_V4: readonly number[] = [DESTINATION_UNREACHABLE, 11, 12];
// destination unreachable, packet too big, time exceeded, parameter problem
const ERRORS_V6: readonly number[] = [1, 2, 3, 4];
// router solicitation … redirect
const FIRST_ND = 133;
const LAST_ND = 137;

/** Neighbor Discovery (RFC 4861): never of a flow, since it is about the link that it comes from. */
export const isOfLink = (family: Family, type: number): boolean =>
  family === 6 && type >= FIRST_ND && type <= LAST_ND;

/** Whether a message of this type quotes a packet of ours. */
export const isIcmpError = (family: Family, type: number): boolean =>
  (family === 4 ? ERRORS_V4 : ERRORS_V6).includes(type);
