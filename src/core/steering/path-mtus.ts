// What routers say about packets of ours that were too long for them (B11, docs/adr/0022): the outer packets of tunnels have "do not
// fragment" (RFC 2003 section 5.1), so that a router that cannot pass one on answers with the MTU of its next link (RFC 1191). It holds for
// ten minutes, after which the longer ones are tried again.
import { BytesMap } from "#base/bytes-map.ts";
import { LOWEST_PATH_MTU } from "#base/path-mtu.ts";
import { after, type Instant } from "#base/time.ts";
import { DESTINATION_UNREACHABLE, ICMP_LENGTH } from "#wire/icmp.ts";
import { IPV4_LENGTH, Ipv4View, PROTOCOL_ICMP, PROTOCOL_UDP } from "#wire/ipv4.ts";
import { uint16 } from "#wire/network-order.ts";
import { GENEVE_PORT, PROTOCOL_IPIP, PROTOCOL_IPV6_IN_IP } from "#wire/tunnel.ts";

/** RFC 1191 section 6.3. */
export const PATH_MTU_MS = 600_000;
/** What is learned on the way, which anybody can forge, as far as it is believed: nobody has links below the lowest, whatever is claimed. */
export const believedMtu = (claimed: number): number => Math.max(claimed, LOWEST_PATH_MTU);
const FRAGMENTATION_NEEDED = 4;
/** Of the quoted UDP header. */
const PORTS = 4;

export interface Complaint {
  /** Of the packet that was too long; four bytes each. */
  readonly source: Uint8Array;
  readonly destination: Uint8Array;
  readonly mtu: number;
}

/** "Fragmentation needed" about an outer packet; undefined: it is something else. @param packet IPv4, as a raw socket gives it */
export function complaintIn(packet: Uint8Array): Complaint | undefined {
  const header = Ipv4View.over(packet);
  if (typeof header === "string" || header.protocol !== PROTOCOL_ICMP) return undefined;
  const message = packet.subarray(header.headerLength);
  if (message[0] !== DESTINATION_UNREACHABLE || message[1] !== FRAGMENTATION_NEEDED) {
    return undefined;
  }
  const quoted = message.subarray(ICMP_LENGTH);
  const inner = Ipv4View.over(quoted);
  if (typeof inner === "string") return undefined;
  const behind = quoted.subarray(inner.headerLength);
  const isGeneve =
    inner.protocol === PROTOCOL_UDP &&
    behind.byteLength >= PORTS &&
    uint16(behind, 2) === GENEVE_PORT;
  const isOuter =
    isGeneve || inner.protocol === PROTOCOL_IPIP || inner.protocol === PROTOCOL_IPV6_IN_IP;
  const mtu = uint16(message, 6);
  // a claim that the packet would have fitted, or that it was no longer than a header, is none
  if (!isOuter || mtu >= inner.totalLength || mtu < IPV4_LENGTH) return undefined;
  return { source: inner.source, destination: inner.destination, mtu };
}

/** The smallest MTU that was heard of on the way to each node. Only of nodes that are asked about, so there are no more than nodes. */
export class PathMtus {
  readonly #known = new BytesMap<{ readonly mtu: number; readonly until: Instant }>();

  /** Whether that is news. */
  heard(now: Instant, { destination, mtu }: Complaint): boolean {
    const believed = believedMtu(mtu);
    const before = this.of(now, destination);
    if (before !== undefined && before < believed) return false;
    this.#known.set(destination.slice(), { mtu: believed, until: after(now, PATH_MTU_MS) });
    return before !== believed;
  }

  /** Undefined: nobody has complained lately. */
  of(now: Instant, destination: Uint8Array): number | undefined {
    const known = this.#known.get(destination);
    return known === undefined || now >= known.until ? undefined : known.mtu;
  }
}
