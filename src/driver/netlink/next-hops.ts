// By which interface and which machine packets to an address leave this host, as the kernel's own routes and neighbours have it
// (rtnetlink(7)). The packet program, which sends past them, is told (docs/adr/0022).
import { type IpAddress, ipBytes, ipFromBytes, type MacAddress } from "#base/address.ts";
import { AF_INET } from "../sockets.ts";
import { decodeAttributes, NLM_F_CREATE, readUint32, type Message } from "./message.ts";
import {
  decodeNeighbour,
  NDA,
  neighbourHeader,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "./neighbour-message.ts";
import { NetlinkSocket, refusedWith } from "./socket.ts";

const RTM_GETROUTE = 26;
const NLM_F_REPLACE = 0x100;
const RTN_UNICAST = 1;
const ROUTE_LENGTH = 12;
const RTA = { destination: 1, link: 4, gateway: 5, metrics: 8 } as const;
const RTAX_MTU = 2;
/** Somebody wants to send there: the kernel finds out where it is. */
const NTF_USE = 0x01;
/** Reachable, stale, delay, probe, no ARP, permanent: the MAC counts. */
const NUD_VALID = 0xde;
/** No ARP, permanent: set by hand, and nobody is asked. */
const NUD_FIXED = 0xc0;

export interface NextHop {
  /** Index of the interface. */
  readonly link: number;
  /** Of the machine on that interface; undefined: the kernel is finding out. */
  readonly mac: MacAddress | undefined;
  /** Of the route, where it has one of its own: set by hand, or learned from an ICMP message. */
  readonly mtu: number | undefined;
}

interface Way {
  readonly link: number;
  readonly neighbour: IpAddress;
  readonly mtu: number | undefined;
}

function decodeWay({ payload }: Message, destination: IpAddress): Way | undefined {
  const attributes = decodeAttributes(payload.subarray(ROUTE_LENGTH));
  const link = readUint32(attributes.get(RTA.link));
  if (payload[7] !== RTN_UNICAST || link === undefined) return undefined;
  const gateway = attributes.get(RTA.gateway);
  const metrics = attributes.get(RTA.metrics);
  const mtu = metrics && readUint32(decodeAttributes(metrics).get(RTAX_MTU));
  return { link, mtu, neighbour: gateway === undefined ? destination : ipFromBytes(gateway) };
}

export class NextHops {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** Belongs to the network namespace the thread is in now. Throws PAN_SYSCALL. */
  static open(): NextHops {
    return new NextHops(NetlinkSocket.open());
  }

  /** Undefined: there is no route. Asks for the machine where the kernel does not know it. Throws PAN_NETLINK. @param destination IPv4 */
  find(destination: IpAddress): NextHop | undefined {
    const way = this.#way(destination);
    if (way === undefined) return undefined;
    const { mac, isFixed } = this.#neighbour(way);
    if (!isFixed) this.#use(way);
    return { link: way.link, mtu: way.mtu, mac };
  }

  #way(destination: IpAddress): Way | undefined {
    const fixed = new Uint8Array(ROUTE_LENGTH);
    fixed[0] = AF_INET;
    fixed[1] = 32;
    const attributes = [{ type: RTA.destination, value: ipBytes(destination) }];
    try {
      const request = { type: RTM_GETROUTE, flags: 0, fixed, attributes };
      return decodeWay(this.#socket.get(request, `find the way to ${destination}`), destination);
    } catch (error) {
      if (refusedWith(error, "ENETUNREACH", "EHOSTUNREACH", "ENONET")) return undefined;
      throw error;
    }
  }

  #neighbour(way: Way): { readonly mac: MacAddress | undefined; readonly isFixed: boolean } {
    const attributes = [{ type: NDA.address, value: ipBytes(way.neighbour) }];
    const fixed = neighbourHeader(AF_INET, way.link);
    try {
      const request = { type: RTM_GETNEIGH, flags: 0, fixed, attributes };
      const found = decodeNeighbour(
        this.#socket.get(request, `find out where ${way.neighbour} is`),
      );
      const state = found?.state ?? 0;
      const mac = (state & NUD_VALID) === 0 ? undefined : found?.mac;
      return { mac, isFixed: (state & NUD_FIXED) !== 0 };
    } catch (error) {
      if (refusedWith(error, "ENOENT")) return { mac: undefined, isFixed: false };
      throw error;
    }
  }

  /** The kernel finds out where the machine is, or whether it is still there: nothing that the packet program sends makes it do so. */
  #use(way: Way): void {
    const attributes = [{ type: NDA.address, value: ipBytes(way.neighbour) }];
    const flags = NLM_F_CREATE | NLM_F_REPLACE;
    const fixed = neighbourHeader(AF_INET, way.link, NTF_USE);
    this.#socket.change(
      { type: RTM_NEWNEIGH, flags, fixed, attributes },
      `ask where ${way.neighbour} is`,
    );
  }

  close(): void {
    this.#socket.close();
  }
}
