// The few frames that an agent sends where members share one MAC (part C):
//
// - lessons: from and to a dedicated MAC of this node, with the EtherType of the configuration test protocol, past the egress
//   programs. A switch learns the port from it and has nowhere to send it, so that the first frame of a peer is not flooded to outsiders;
// - announcements of the node's own addresses, when the interface's MAC has changed, also back;
// - questions for peers that may not know yet that this node has asked for them (C15).
import { familyOf, ipBytes, type IpAddress, type MacAddress, macBytes } from "#base/address.ts";
import { encodeArp } from "#wire/arp.ts";
import { BROADCAST, encodeEthernet, ETHERTYPE_ARP } from "#wire/ethernet.ts";
import { announcementFrames } from "#wire/neighbour-announcement.ts";
import { libc } from "../libc.ts";
import { PacketSocket } from "./packet-socket.ts";

/** Loopback of IEEE 802.3's Ethernet Configuration Testing Protocol: nobody acts on an empty one. */
const ETHERTYPE_LOOPBACK = 0x9000;
const SHORTEST_PAYLOAD = 46;

export interface Placed {
  readonly address: IpAddress;
  readonly mac: MacAddress;
}

interface Port {
  readonly link: number;
  /** Through the egress programs, or past them. */
  readonly through: PacketSocket;
  readonly past: PacketSocket;
}

export class PeerFrames {
  readonly #ports: readonly Port[];

  /** @param interfaces the cluster interface first; in the network namespace the thread is in now. Throws PAN_SYSCALL. */
  constructor(interfaces: readonly string[]) {
    this.#ports = interfaces.map((name) => {
      const link = libc.ifNameToIndex(name);
      return { link, through: PacketSocket.open(link), past: PacketSocket.pastQdisc(link) };
    });
  }

  /** Best effort, as are the others: each is repeated, and what fails now fails for the reason that traffic does. */
  teach(macs: readonly MacAddress[]): void {
    const payload = new Uint8Array(SHORTEST_PAYLOAD);
    for (const mac of macs) {
      const [destination, source] = [macBytes(mac), macBytes(mac)];
      const frame = encodeEthernet({ destination, source, etherType: ETHERTYPE_LOOPBACK }, payload);
      for (const { past } of this.#ports) past.send(frame);
    }
  }

  /** @param link on the interface of that index, if it is one of these; undefined: on all */
  announce(placed: Placed, from: MacAddress, link?: number): void {
    const ports = this.#ports.filter((port) => link === undefined || port.link === link);
    for (const frame of announcementFrames(placed.address, placed.mac, from)) {
      for (const { through } of ports) through.send(frame);
    }
  }

  /** Asks on the cluster interface where a peer is, as the stack would; without a MAC everybody hears it. IPv4. */
  ask(peer: Partial<Placed> & Pick<Placed, "address">, self: Placed): void {
    if (familyOf(peer.address) !== 4) return;
    const arp = encodeArp({
      operation: "request",
      senderMac: macBytes(self.mac),
      senderIp: ipBytes(self.address),
      targetMac: new Uint8Array(6),
      targetIp: ipBytes(peer.address),
    });
    const header = {
      destination: peer.mac === undefined ? BROADCAST : macBytes(peer.mac),
      source: macBytes(self.mac),
      etherType: ETHERTYPE_ARP,
    };
    this.#ports[0]?.through.send(encodeEthernet(header, arp));
  }

  close(): void {
    for (const { through, past } of this.#ports) {
      through.close();
      past.close();
    }
  }
}

/** Once an interface has its own MAC again: until they are told, neighbours send to the one before. */
export function announceAt(device: string, addresses: readonly IpAddress[], mac: MacAddress): void {
  const frames = new PeerFrames([device]);
  try {
    for (const address of addresses) frames.announce({ address, mac }, mac);
  } finally {
    frames.close();
  }
}
