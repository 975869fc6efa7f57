// Announces the VIPs to the segment (A3, A5): each announcement is sent at once. When to repeat it is
// decided in core/node (ANNOUNCE_AGAIN_MS, ANNOUNCE_EVERY_MS): single frames get lost, and neighbours
// that were away come back.
import type { IpAddress, MacAddress } from "#base/address.ts";
import { PanError } from "#base/error-codes.ts";
import { announcementFrames } from "#wire/neighbour-announcement.ts";
import { libc } from "../libc.ts";
import { PacketSocket } from "./packet-socket.ts";

/** Keeps its socket open, because closing one takes 10 ms and announcing is part of every takeover. */
export class Announcer {
  readonly #interface: string;
  #socket: PacketSocket;

  private constructor(name: string) {
    this.#interface = name;
    this.#socket = openSocket(name);
  }

  /** In the network namespace the thread is in now. Throws PAN_INTERFACE_MISSING, PAN_SYSCALL. */
  static open(options: { readonly interface: string }): Announcer {
    return new Announcer(options.interface);
  }

  /**
   * Tells every neighbour that the VIPs are at `mac`: about 1 µs a frame.
   * @param mac of the cluster interface
   * Throws PAN_SYSCALL when not all could be sent (interface down), after having tried all.
   */
  announce(vips: readonly IpAddress[], mac: MacAddress): void {
    let failure: string | undefined;
    for (const vip of vips) {
      for (const frame of announcementFrames(vip, mac)) failure = this.#send(frame) ?? failure;
    }
    if (failure === undefined) return;
    throw new PanError(
      "PAN_SYSCALL",
      `Cannot announce the virtual addresses on ${this.#interface}: ${failure}`,
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
