// When the segment is told where clients' frames go: neighbours learn the VIPs' MAC from the interface node (A3, A5), and
// switches learn from every member that it is in the cluster's group (A13.3). Which MAC that is follows from the delivery
// method of the tables that this node goes by, never from what the configuration asks for next.
import type { IpAddress } from "#base/address.ts";
import { igmpGroup } from "#base/delivery.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { Delivery, Tables } from "#core/steering/tables.ts";
import type { Effect } from "./protocol.ts";

/** When the VIPs are announced again after a take-over: caches and switches miss single frames. */
export const ANNOUNCE_AGAIN_MS = [50, 200, 1000, 3000] as const;
/** Afterwards, for as long as the node is the interface node (a neighbour may have been away). */
export const ANNOUNCE_EVERY_MS = 30_000;
/** A node that did not run for so long may have been replaced: it announces nothing until it has heard. */
export const LATE_MS = 200;
/** Long enough to hear whether it has. */
const HEAR_FIRST_MS = 1000;
/** The group is reported again, in case the first report was lost (RFC 2236 section 3). */
export const REPORT_AGAIN_MS = 1000;
/** Afterwards: well within the 260 s after which a switch forgets a member, also where nobody asks (RFC 2236 section 8.4). */
export const REPORT_EVERY_MS = 60_000;

/** Whether clients are told the same MAC; with "forward" that is the interface node's, whatever the primary VIP. */
const sameMac = (a: Delivery, b: Delivery): boolean =>
  a.method === b.method && (a.method === "forward" || a.primary === b.primary);

export class Announcements {
  #delivery: Delivery;
  #announced = 0;
  #announceAt: Instant | undefined;
  #group: IpAddress | undefined;
  #reportAt: Instant | undefined;

  /** @param tables what was in force here before a restart */
  constructor(tables: Tables | undefined) {
    this.#delivery = tables?.delivery ?? { method: "forward", primary: undefined };
  }

  /** Of the tables that are in force here. */
  get delivery(): Delivery {
    return this.#delivery;
  }

  get deadline(): Instant | undefined {
    return earliest(this.#announceAt, this.#reportAt);
  }

  /** Tables come into force. True: frames go another way from now on. */
  installed({ delivery }: Tables): boolean {
    const before = this.#delivery;
    this.#delivery = delivery;
    return !sameMac(before, delivery);
  }

  /** As after a take-over: several times, soon after one another. */
  begin(now: Instant, vips: readonly IpAddress[]): Effect[] {
    this.#announced = 0;
    return this.announce(now, vips);
  }

  announce(now: Instant, vips: readonly IpAddress[]): Effect[] {
    const wait = ANNOUNCE_AGAIN_MS[this.#announced] ?? ANNOUNCE_EVERY_MS;
    this.#announced += 1;
    this.#announceAt = after(now, wait);
    return [{ type: "announce-vips", vips, delivery: this.#delivery }];
  }

  /** This node is the interface node no more. */
  end(): void {
    this.#announceAt = undefined;
  }

  /** Once in a group, a node stays there: neighbours may send to its MAC for as long as they remember it. */
  report(now: Instant): Effect[] {
    const { method, primary } = this.#delivery;
    const group = method === "igmp" && primary !== undefined ? igmpGroup(primary) : this.#group;
    if (group === undefined) return [];
    const isFirst = group !== this.#group;
    this.#group = group;
    this.#reportAt = after(now, isFirst ? REPORT_AGAIN_MS : REPORT_EVERY_MS);
    return [{ type: "report-group", group }];
  }

  #announceDue(now: Instant, vips: readonly IpAddress[]): Effect[] {
    if (this.#announceAt === undefined || now < this.#announceAt) return [];
    if (now - this.#announceAt <= LATE_MS) return this.announce(now, vips);
    this.#announceAt = after(now, HEAR_FIRST_MS);
    return [];
  }

  deadlineReached(now: Instant, vips: readonly IpAddress[]): Effect[] {
    return [
      ...this.#announceDue(now, vips),
      ...(isDue(now, this.#reportAt) ? this.report(now) : []),
    ];
  }
}

const isDue = (now: Instant, at: Instant | undefined): boolean => at !== undefined && now >= at;
