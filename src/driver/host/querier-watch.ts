// Whether queriers of groups are on the networks of the cluster: of IGMP (RFC 2236, RFC 3376) for IPv4, of MLD (RFC 2710, RFC 3810) for IPv6.
// Where there is one, switches that listen send that family's frames to a group MAC only where somebody has joined, and nobody can join a
// dedicated MAC. Queries go to all hosts, every two minutes or so; for how long they count is core/peering/queriers.ts' to say.
import { ipFromBytes, type IpAddress } from "#base/address.ts";
import type { Queriers } from "#core/peering/queriers.ts";
import { check, libc } from "../libc.ts";
import {
  AF_INET,
  AF_INET6,
  SOCK_CLOEXEC,
  SOCK_NONBLOCK,
  SOCK_RAW,
  bindToDevice,
} from "../sockets.ts";

const IPPROTO_IGMP = 2;
const IPPROTO_ICMPV6 = 58;
const ICMP6_FILTER = 1;
const IGMP_QUERY = 0x11;
const MLD_QUERY = 130;
const PACKETS_A_TURN = 256;
const PACKET_LENGTH = 2048;
/** sockaddr_in6; the address is at 8. */
const ADDRESS_LENGTH = 28;

interface Family {
  readonly domain: number;
  readonly protocol: number;
  /** Who queries; undefined: it is something else. */
  readonly querierIn: (packet: Uint8Array, from: Uint8Array) => IpAddress | undefined;
}

/** A raw socket of IPv4 gets whole packets. A switch without an address queries from 0.0.0.0. */
const IGMP: Family = {
  domain: AF_INET,
  protocol: IPPROTO_IGMP,
  querierIn: (packet) => {
    const header = ((packet[0] ?? 0) & 0x0f) * 4;
    return packet[header] === IGMP_QUERY ? ipFromBytes(packet.slice(12, 16)) : undefined;
  },
};

/** One of ICMPv6 gets messages. */
const MLD: Family = {
  domain: AF_INET6,
  protocol: IPPROTO_ICMPV6,
  querierIn: (message, from) =>
    message[0] === MLD_QUERY ? ipFromBytes(from.slice(8, 24)) : undefined,
};

/** One family on one interface. */
class FamilyWatch {
  readonly #fd: number;
  readonly #family: Family;

  constructor(family: Family, interfaceName: string) {
    this.#family = family;
    const { domain, protocol } = family;
    const what = `listen for queries of groups on ${interfaceName}`;
    this.#fd = check(libc.socket(domain, SOCK_RAW | SOCK_NONBLOCK | SOCK_CLOEXEC, protocol), what);
    try {
      bindToDevice(this.#fd, interfaceName);
      if (protocol === IPPROTO_ICMPV6) this.#filter(what);
    } catch (error) {
      this.close();
      throw error;
    }
  }

  /** A one keeps a type out. */
  #filter(what: string): void {
    const types = new Uint32Array(8).fill(0xffff_ffff);
    types[MLD_QUERY >>> 5] = ~(1 << (MLD_QUERY & 31)) >>> 0;
    const bytes = new Uint8Array(types.buffer);
    check(libc.setsockopt(this.#fd, IPPROTO_ICMPV6, ICMP6_FILTER, bytes, bytes.byteLength), what);
  }

  /** Whoever queried last since the last call. */
  read(): IpAddress | undefined {
    const buffer = new Uint8Array(PACKET_LENGTH);
    const from = new Uint8Array(ADDRESS_LENGTH);
    let querier: IpAddress | undefined;
    for (let count = 0; count < PACKETS_A_TURN; count++) {
      const fromLength = new Uint8Array(Uint32Array.of(ADDRESS_LENGTH).buffer);
      const length = libc.recvfrom(this.#fd, buffer, buffer.byteLength, 0, from, fromLength);
      if (length <= 0) break;
      querier = this.#family.querierIn(buffer.subarray(0, length), from) ?? querier;
    }
    return querier;
  }

  close(): void {
    libc.close(this.#fd);
  }
}

export class QuerierWatch {
  readonly #igmp: readonly FamilyWatch[];
  readonly #mld: readonly FamilyWatch[];

  /** @param interfaces those of the cluster; in the network namespace the thread is in now. Throws PAN_SYSCALL. */
  constructor(interfaces: readonly string[]) {
    const opened: FamilyWatch[] = [];
    const open = (family: Family): FamilyWatch[] =>
      interfaces.map((name) => {
        const watch = new FamilyWatch(family, name);
        opened.push(watch);
        return watch;
      });
    try {
      this.#igmp = open(IGMP);
      this.#mld = open(MLD);
    } catch (error) {
      for (const watch of opened) watch.close();
      throw error;
    }
  }

  /** Who has queried since the last call. */
  heard(): Queriers {
    const lastOf = (watches: readonly FamilyWatch[]): IpAddress | undefined =>
      watches.map((watch) => watch.read()).findLast((querier) => querier !== undefined);
    const [igmp, mld] = [lastOf(this.#igmp), lastOf(this.#mld)];
    return {
      ...(igmp === undefined ? {} : { igmp }),
      ...(mld === undefined ? {} : { mld }),
    };
  }

  close(): void {
    for (const watch of [...this.#igmp, ...this.#mld]) watch.close();
  }
}
