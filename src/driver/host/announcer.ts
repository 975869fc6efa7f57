// Announces the VIPs to the segment (A3, A5), and to its switches that this node is in the cluster's group (A13.3): each
// frame is sent at once. When to repeat it is decided in core/node/announcements.ts: single frames get lost, and neighbours
// that were away come back.
import { ipBytes, macBytes, type IpAddress, type MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { membershipReportFrame } from "#wire/igmp.ts";
import { announcementFrames } from "#wire/neighbour-announcement.ts";
import { libc } from "../libc.ts";
import { PacketSocket } from "./packet-socket.ts";

/** Keeps its socket open, because closing one takes 10 ms and announcing is part of every takeover. */
export class Announcer {
  readonly #interface: string;
  readonly #mac: MacAddress;
  #socket: PacketSocket;

  private constructor(name: string, mac: MacAddress) {
    this.#interface = name;
    this.#mac = mac;
    this.#socket = openSocket(name);
  }

  /**
   * In the network namespace the thread is in now. Throws PAN_INTERFACE_MISSING, PAN_SYSCALL.
   * @param options.mac the interface's own
   */
  static open(options: { readonly interface: string; readonly mac: MacAddress }): Announcer {
    return new Announcer(options.interface, options.mac);
  }

  /**
   * Tells every neighbour that the VIPs are at `mac`: about 1 µs a frame.
   * @param mac of the cluster interface, or the cluster's
   * Throws PAN_SYSCALL when not all could be sent (interface down), after having tried all.
   */
  announce(vips: readonly IpAddress[], mac: MacAddress): void {
    let failure: string | undefined;
    for (const vip of vips) {
      for (const frame of announcementFrames(vip, mac, this.#mac)) {
        failure = this.#send(frame) ?? failure;
      }
    }
    if (failure === undefined) return;
    throw new PanError(
      "PAN_SYSCALL",
      `Cannot announce the virtual addresses on ${this.#interface}: ${failure}`,
    );
  }

  /** An IGMPv2 membership report: switches that listen send the group's frames here. Throws PAN_SYSCALL. */
  report(group: IpAddress, address: IpAddress): void {
    const report = { group: ipBytes(group), source: ipBytes(address) };
    const failure = this.#send(membershipReportFrame(report, macBytes(this.#mac)));
    if (failure === undefined) return;
    throw new PanError(
      "PAN_SYSCALL",
      `Cannot report the group ${group} on ${this.#interface}: ${failure}`,
    );
  }

  close(): void {
    this.#socket.close();
  }

  #send(frame: Uint8Array): string | undefined {
    const failure = this.#socket.send(frame);
    if (failure !== "ENXIO" && failure !== "ENODEV") return failure;
    // The interface was deleted and made again under its name: another index.
    if (libc.ifNameToIndex(this.#interface) === 0) return failure;
    this.#socket.close();
    this.#socket = openSocket(this.#interface);
    return this.#socket.send(frame);
  }
}

function openSocket(name: string): PacketSocket {
  const link = libc.ifNameToIndex(name);
  if (link > 0) return PacketSocket.open(link);
  throw new PanError(
    "PAN_INTERFACE_MISSING",
    `There is no network interface ${name}: create it or correct the node's configuration`,
  );
}
