// Links, addresses, routes and neighbours of this network namespace, through rtnetlink(7).
import {
  familyOf,
  ipBytes,
  ipFromBytes,
  macBytes,
  type Family,
  type IpAddress,
  type MacAddress,
} from "#base/address.ts";
import { AF_INET, AF_INET6 } from "../sockets.ts";
import {
  decodeAttributes,
  NLM_F_CREATE,
  NLM_F_EXCL,
  readText,
  readUint32,
  readUint8,
  uint32,
  type Attribute,
  type Message,
} from "./message.ts";
import {
  addressOrUndefined,
  decodeNeighbour,
  macOrUndefined,
  NDA,
  type Neighbour,
  NEIGHBOUR_LENGTH,
  neighbourHeader,
  RTM_DELNEIGH,
  RTM_GETNEIGH,
  RTM_NEWNEIGH,
} from "./neighbour-message.ts";
import { NetlinkSocket, refusedWith } from "./socket.ts";

const RTM_NEWLINK = 16;
const RTM_GETLINK = 18;
const RTM_NEWADDR = 20;
const RTM_DELADDR = 21;
const RTM_GETADDR = 22;
const RTM_NEWROUTE = 24;
const RTM_DELROUTE = 25;
const RTM_GETROUTE = 26;

const AF_BRIDGE = 7;
const IFF_UP = 0x1;
const NUD_PERMANENT = 0x80;
/** The interface's own list, not that of a bridge above it. */
const NTF_SELF = 0x02;
const RTN_UNICAST = 1;
const RT_SCOPE_UNIVERSE = 0;
const RT_SCOPE_LINK = 253;
const RT_TABLE_MAIN = 254;
const FOREVER = 0xffff_ffff;

/** Address attributes (if_addr.h). */
const IFA = { address: 1, local: 2, cacheInfo: 6, flags: 8, protocol: 11 } as const;
/** Link attributes (if_link.h). */
const IFLA = { address: 1, name: 3, mtu: 4, master: 10, linkInfo: 18 } as const;
const IFLA_INFO_KIND = 1;
/** Route attributes (rtnetlink.h). */
const RTA = { destination: 1, link: 4, gateway: 5, priority: 6, source: 7, table: 15 } as const;

export const ADDRESS_FLAGS = {
  /** IPv6: no duplicate address detection; usable at once. */
  noDad: 0x02,
  dadFailed: 0x08,
  /** IPv6: preferred lifetime over; never chosen as a source while there is another. */
  deprecated: 0x20,
  tentative: 0x40,
  permanent: 0x80,
  noPrefixRoute: 0x200,
} as const;

/** Where an IPv4 address may be used as a source by itself; "host" is never chosen for another machine. */
export const ADDRESS_SCOPES = { universe: 0, link: 253, host: 254 } as const;

export interface Link {
  readonly index: number;
  readonly name: string;
  /** Undefined for devices without Ethernet addresses (tunnels). */
  readonly mac: MacAddress | undefined;
  readonly mtu: number;
  /** Administratively up. */
  readonly up: boolean;
  /** "veth", "bridge", "vlan" …; undefined for hardware and lo. */
  readonly kind: string | undefined;
  /** Index of the bridge or bond that it belongs to. */
  readonly master: number | undefined;
}

export interface InterfaceAddress {
  readonly link: number;
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly scope: number;
  /** Bits of ADDRESS_FLAGS. */
  readonly flags: number;
  /** Who configured it (IFA_PROTO). Undefined: nobody said so, or the kernel is older than 5.18. */
  readonly protocol: number | undefined;
}

export interface NewAddress {
  readonly link: number;
  readonly address: IpAddress;
  readonly prefixLength: number;
  readonly scope?: number;
  readonly flags?: number;
  /** 0: deprecated from the start (IPv6 source selection, RFC 6724 rule 3). Default: for ever. */
  readonly preferredSeconds?: number;
  readonly protocol?: number;
}

export interface Route {
  readonly destination: IpAddress;
  readonly prefixLength: number;
  readonly gateway?: IpAddress;
  readonly link?: number;
  /** Preferred source address. */
  readonly source?: IpAddress;
  /** Default: the main table, 254. */
  readonly table?: number;
  readonly metric?: number;
  /** Who made the route (RTPROT_*). Default 4, "static". */
  readonly protocol?: number;
}

const familyNumber = (ip: IpAddress): number => (familyOf(ip) === 4 ? AF_INET : AF_INET6);
const viewOf = (bytes: Uint8Array): DataView =>
  new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);

/** ifinfomsg: family(8) pad(8) type(16) index(32) flags(32) change(32). */
const LINK_LENGTH = 16;
function decodeLink({ payload }: Message): Link {
  const view = viewOf(payload);
  const attributes = decodeAttributes(payload.subarray(LINK_LENGTH));
  const linkInfo = attributes.get(IFLA.linkInfo);
  return {
    index: view.getInt32(4, true),
    name: readText(attributes.get(IFLA.name)) ?? "",
    mac: macOrUndefined(attributes.get(IFLA.address)),
    mtu: readUint32(attributes.get(IFLA.mtu)) ?? 0,
    up: (view.getUint32(8, true) & IFF_UP) !== 0,
    kind:
      linkInfo === undefined ? undefined : readText(decodeAttributes(linkInfo).get(IFLA_INFO_KIND)),
    master: readUint32(attributes.get(IFLA.master)),
  };
}

/** ifaddrmsg: family(8) prefix(8) flags(8) scope(8) index(32). */
const ADDRESS_LENGTH = 8;
function decodeAddress({ payload }: Message): InterfaceAddress | undefined {
  const attributes = decodeAttributes(payload.subarray(ADDRESS_LENGTH));
  // On a point-to-point link "address" is the other end, "local" is ours.
  const address = addressOrUndefined(attributes.get(IFA.local) ?? attributes.get(IFA.address));
  if (address === undefined) return undefined;
  return {
    link: viewOf(payload).getUint32(4, true),
    address,
    prefixLength: payload[1] ?? 0,
    scope: payload[3] ?? 0,
    flags: readUint32(attributes.get(IFA.flags)) ?? payload[2] ?? 0,
    protocol: readUint8(attributes.get(IFA.protocol)),
  };
}

/** rtmsg: family dst-length src-length tos table protocol scope type (8 each), flags(32). */
const ROUTE_LENGTH = 12;
function decodeRoute({ payload }: Message): Route {
  const attributes = decodeAttributes(payload.subarray(ROUTE_LENGTH));
  const any = ipFromBytes(new Uint8Array(payload[0] === AF_INET ? 4 : 16));
  const gateway = addressOrUndefined(attributes.get(RTA.gateway));
  const link = readUint32(attributes.get(RTA.link));
  const source = addressOrUndefined(attributes.get(RTA.source));
  const metric = readUint32(attributes.get(RTA.priority));
  return {
    destination: addressOrUndefined(attributes.get(RTA.destination)) ?? any,
    prefixLength: payload[1] ?? 0,
    table: readUint32(attributes.get(RTA.table)) ?? payload[4] ?? 0,
    protocol: payload[5] ?? 0,
    ...(gateway === undefined ? {} : { gateway }),
    ...(link === undefined ? {} : { link }),
    ...(source === undefined ? {} : { source }),
    ...(metric === undefined ? {} : { metric }),
  };
}

/** The interface's list of a PF_BRIDGE dump; entries of bridges and of other links are left out. */
function decodeListened({ payload }: Message, link: number): MacAddress | undefined {
  const view = viewOf(payload);
  const attributes = decodeAttributes(payload.subarray(NEIGHBOUR_LENGTH));
  const isOwn = view.getInt32(4, true) === link && ((payload[10] ?? 0) & NTF_SELF) !== 0;
  return isOwn && !attributes.has(NDA.vlan) ? macOrUndefined(attributes.get(NDA.mac)) : undefined;
}

const present = <T>(value: T | undefined): value is T => value !== undefined;

export class Rtnetlink {
  readonly #socket: NetlinkSocket;

  private constructor(socket: NetlinkSocket) {
    this.#socket = socket;
  }

  /** For the network namespace the thread is in now, for good. Throws PAN_SYSCALL. */
  static open(): Rtnetlink {
    return new Rtnetlink(NetlinkSocket.open());
  }

  close(): void {
    this.#socket.close();
  }

  links(): Link[] {
    return this.#dump(RTM_GETLINK, new Uint8Array(LINK_LENGTH), "list the links").map(decodeLink);
  }

  /** The link of this name, or undefined. */
  link(name: string): Link | undefined {
    return this.links().find((candidate) => candidate.name === name);
  }

  /** Addresses of all links, IPv4 before IPv6. */
  addresses(): InterfaceAddress[] {
    const messages = this.#dump(RTM_GETADDR, new Uint8Array(ADDRESS_LENGTH), "list the addresses");
    return messages.map(decodeAddress).filter(present);
  }

  /** True: added; false: the link has this address with this prefix length already. Throws PAN_NETLINK. */
  addAddress(address: NewAddress): boolean {
    const flags = address.flags ?? 0;
    const attributes: Attribute[] = [
      { type: IFA.local, value: ipBytes(address.address) },
      { type: IFA.address, value: ipBytes(address.address) },
      { type: IFA.flags, value: uint32(flags) },
    ];
    if (address.preferredSeconds !== undefined) {
      const times = new Uint32Array([address.preferredSeconds, FOREVER, 0, 0]);
      attributes.push({ type: IFA.cacheInfo, value: new Uint8Array(times.buffer) });
    }
    if (address.protocol !== undefined) {
      attributes.push({ type: IFA.protocol, value: Uint8Array.of(address.protocol) });
    }
    const fixed = addressHeader(address);
    const request = { type: RTM_NEWADDR, flags: NLM_F_CREATE | NLM_F_EXCL, fixed, attributes };
    const action = `add ${address.address}/${address.prefixLength} to link ${address.link}`;
    return this.#unless(["EEXIST"], () => this.#socket.change(request, action));
  }

  /** True: removed; false: it was not there. Throws PAN_NETLINK. */
  removeAddress(address: Pick<NewAddress, "link" | "address" | "prefixLength">): boolean {
    const attributes = [{ type: IFA.local, value: ipBytes(address.address) }];
    const fixed = addressHeader(address);
    const request = { type: RTM_DELADDR, flags: 0, fixed, attributes };
    const action = `remove ${address.address}/${address.prefixLength} from link ${address.link}`;
    const gone = ["EADDRNOTAVAIL", "ENODEV", "ENXIO"];
    return this.#unless(gone, () => this.#socket.change(request, action));
  }

  /** Unicast routes of all tables (the kernel's local and multicast ones are left out). */
  routes(family: Family): Route[] {
    const fixed = new Uint8Array(ROUTE_LENGTH);
    fixed[0] = family === 4 ? AF_INET : AF_INET6;
    return this.#dump(RTM_GETROUTE, fixed, "list the routes")
      .filter(({ payload }) => payload[7] === RTN_UNICAST)
      .map(decodeRoute);
  }

  /** True: added; false: there is such a route already. Throws PAN_NETLINK. */
  addRoute(route: Route): boolean {
    const request = {
      type: RTM_NEWROUTE,
      flags: NLM_F_CREATE | NLM_F_EXCL,
      fixed: routeHeader(route),
      attributes: routeAttributes(route),
    };
    return this.#unless(["EEXIST"], () =>
      this.#socket.change(request, `add the route ${route.destination}/${route.prefixLength}`),
    );
  }

  /** True: removed; false: it was not there. Throws PAN_NETLINK. */
  removeRoute(route: Route): boolean {
    const request = {
      type: RTM_DELROUTE,
      flags: 0,
      fixed: routeHeader(route),
      attributes: routeAttributes(route),
    };
    return this.#unless(["ESRCH", "ENODEV"], () =>
      this.#socket.change(request, `remove the route ${route.destination}/${route.prefixLength}`),
    );
  }

  /** The neighbour caches (ARP and ND) of all links. */
  neighbours(): Neighbour[] {
    const fixed = new Uint8Array(NEIGHBOUR_LENGTH);
    return this.#dump(RTM_GETNEIGH, fixed, "list the neighbours")
      .map(decodeNeighbour)
      .filter(present);
  }

  /** Drops what the stack has found out about a neighbour, which asks anew when it needs it. False: it knew nothing. */
  forgetNeighbour({ link, address }: Pick<Neighbour, "link" | "address">): boolean {
    const fixed = neighbourHeader(familyNumber(address), link);
    const attributes = [{ type: NDA.address, value: ipBytes(address) }];
    const request = { type: RTM_DELNEIGH, flags: 0, fixed, attributes };
    const action = `forget where ${address} is`;
    return this.#unless(["ENOENT", "ENODEV"], () => this.#socket.change(request, action));
  }

  /** The interface's own MAC. Throws PAN_NETLINK; "EBUSY": its driver wants the link down for that. */
  setLinkMac(link: number, mac: MacAddress): void {
    const attributes = [{ type: IFLA.address, value: macBytes(mac) }];
    const fixed = new Uint8Array(LINK_LENGTH);
    viewOf(fixed).setInt32(4, link, true);
    const request = { type: RTM_NEWLINK, flags: 0, fixed, attributes };
    this.#socket.change(request, `give link ${link} the MAC ${mac}`);
  }

  /** MAC addresses, unicast and group, that an interface listens to beside its own. */
  listenedMacs(link: number): MacAddress[] {
    const fixed = new Uint8Array(NEIGHBOUR_LENGTH); // of all links: a filter here means a bridge's port
    fixed[0] = AF_BRIDGE;
    return this.#dump(RTM_GETNEIGH, fixed, "list what the interface listens to")
      .map((message) => decodeListened(message, link))
      .filter(present);
  }

  /** True: the interface listens to it now; false: it did already. Throws PAN_NETLINK. */
  listenToMac(link: number, mac: MacAddress): boolean {
    const attributes = [{ type: NDA.mac, value: macBytes(mac) }];
    const flags = NLM_F_CREATE | NLM_F_EXCL;
    const request = { type: RTM_NEWNEIGH, flags, fixed: listenHeader(link), attributes };
    const action = `make link ${link} listen to ${mac}`;
    return this.#unless(["EEXIST"], () => this.#socket.change(request, action));
  }

  /** True: it listens no more; false: it did not. Throws PAN_NETLINK. */
  stopListening(link: number, mac: MacAddress): boolean {
    const attributes = [{ type: NDA.mac, value: macBytes(mac) }];
    const request = { type: RTM_DELNEIGH, flags: 0, fixed: listenHeader(link), attributes };
    const action = `make link ${link} listen to ${mac} no more`;
    return this.#unless(["ENOENT", "ENODEV"], () => this.#socket.change(request, action));
  }

  #dump(type: number, fixed: Uint8Array, action: string): Message[] {
    return this.#socket.dump({ type, flags: 0, fixed, attributes: [] }, action);
  }

  #unless(codes: readonly string[], change: () => void): boolean {
    try {
      change();
      return true;
    } catch (error) {
      if (refusedWith(error, ...codes)) return false;
      throw error;
    }
  }
}

function addressHeader(
  address: Pick<NewAddress, "link" | "address" | "prefixLength" | "scope">,
): Uint8Array {
  const fixed = new Uint8Array(ADDRESS_LENGTH);
  fixed[0] = familyNumber(address.address);
  fixed[1] = address.prefixLength;
  fixed[3] = address.scope ?? RT_SCOPE_UNIVERSE;
  viewOf(fixed).setUint32(4, address.link, true);
  return fixed;
}

/** ndmsg for the interface's own list. Its driver filters by it, or the kernel makes it promiscuous. */
const listenHeader = (link: number): Uint8Array =>
  neighbourHeader(AF_BRIDGE, link, NTF_SELF, NUD_PERMANENT);

function routeHeader(route: Route): Uint8Array {
  const fixed = new Uint8Array(ROUTE_LENGTH);
  const direct = route.gateway === undefined && familyOf(route.destination) === 4;
  fixed[0] = familyNumber(route.destination);
  fixed[1] = route.prefixLength;
  fixed[5] = route.protocol ?? 4;
  fixed[6] = direct ? RT_SCOPE_LINK : RT_SCOPE_UNIVERSE;
  fixed[7] = RTN_UNICAST;
  return fixed;
}

function routeAttributes(route: Route): Attribute[] {
  const attributes: Attribute[] = [
    { type: RTA.table, value: uint32(route.table ?? RT_TABLE_MAIN) },
  ];
  const { destination, gateway, link, source, metric } = route;
  if (route.prefixLength > 0)
    attributes.push({ type: RTA.destination, value: ipBytes(destination) });
  if (gateway !== undefined) attributes.push({ type: RTA.gateway, value: ipBytes(gateway) });
  if (link !== undefined) attributes.push({ type: RTA.link, value: uint32(link) });
  if (source !== undefined) attributes.push({ type: RTA.source, value: ipBytes(source) });
  if (metric !== undefined) attributes.push({ type: RTA.priority, value: uint32(metric) });
  return attributes;
}
