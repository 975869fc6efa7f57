// What this node says on the segments that it has an interface in: where the VIPs of that segment are, and to which group it belongs.
// One announcer and one group membership for each interface; an arm has its own VIPs and its own MAC (A22).
import type { IpAddress, MacAddress } from "#base/address.ts";
import { Announcer } from "./announcer.ts";
import { GroupMembership } from "./group-membership.ts";

export interface SegmentPort {
  readonly interface: string;
  readonly mac: MacAddress;
}

interface Segment {
  readonly port: SegmentPort;
  readonly announcer: Announcer;
  readonly group: GroupMembership;
}

export class Segments {
  readonly #segments: readonly Segment[];
  readonly #portOf: (vip: IpAddress) => string | undefined;

  private constructor(
    segments: readonly Segment[],
    portOf: (vip: IpAddress) => string | undefined,
  ) {
    this.#segments = segments;
    this.#portOf = portOf;
  }

  /**
   * In the network namespace the thread is in now. Throws PAN_INTERFACE_MISSING, PAN_SYSCALL.
   * @param portOf interface of the network that a VIP is of
   */
  static open(
    ports: readonly SegmentPort[],
    portOf: (vip: IpAddress) => string | undefined,
  ): Segments {
    const segments = ports.map((port) => ({
      port,
      announcer: Announcer.open(port),
      group: new GroupMembership(port.interface),
    }));
    return new Segments(segments, portOf);
  }

  /**
   * Tells the neighbours of each VIP that it is at `mac`; undefined: at the interface's own MAC.
   * Throws PAN_SYSCALL when not all could be sent, after having tried all.
   */
  announce(vips: readonly IpAddress[], mac: MacAddress | undefined): void {
    this.#onEach(({ port, announcer }) => {
      const own = vips.filter((vip) => this.#portOf(vip) === port.interface);
      announcer.announce(own, mac ?? port.mac);
    });
  }

  /** Tells switches of every segment that this node is in the group. Throws like announce(). */
  report(group: IpAddress, address: IpAddress): void {
    this.#onEach(({ announcer }) => announcer.report(group, address));
  }

  /** Answers the segments' queriers from now on. Repeatable. Throws PAN_INTERFACE_MISSING, PAN_SYSCALL. */
  join(group: IpAddress): void {
    this.#onEach((segment) => segment.group.join(group));
  }

  close(): void {
    for (const { announcer, group } of this.#segments) {
      announcer.close();
      group.close();
    }
  }

  /** One segment's failure does not keep back the others. */
  #onEach(act: (segment: Segment) => void): void {
    let failure: { readonly error: unknown } | undefined;
    for (const segment of this.#segments) {
      try {
        act(segment);
      } catch (error) {
        failure ??= { error };
      }
    }
    if (failure !== undefined) throw failure.error;
  }
}
