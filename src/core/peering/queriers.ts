// Who asks for groups on the cluster's networks, and for how long that is known.
import type { IpAddress } from "#base/address.ts";

/**
 * For so long a querier counts after its last query: what queriers wait before they take the place of another one ("Other Querier Present
 * Interval", RFC 3376 section 8.5 and RFC 3810 section 9.5: twice the interval of 125 s and half of the time for answers).
 */
export const QUERIER_PRESENT_MS = 255_000;

/** Of IPv4 and of IPv6; absent: none. */
export interface Queriers {
  readonly igmp?: IpAddress;
  readonly mld?: IpAddress;
}

/** Which families switches that listen withhold from groups that nobody has joined. */
export function starved({ igmp, mld }: Queriers): string {
  return [...(igmp === undefined ? [] : ["IPv4"]), ...(mld === undefined ? [] : ["IPv6"])].join(
    " and ",
  );
}

/** Each once, with the protocol that it speaks: "10.0.0.254 (IGMP)". */
export function named({ igmp, mld }: Queriers): string {
  return [
    ...(igmp === undefined ? [] : [`${igmp} (IGMP)`]),
    ...(mld === undefined ? [] : [`${mld} (MLD)`]),
  ].join(" and ");
}

interface Heard {
  readonly querier: IpAddress;
  readonly atMs: number;
}

export class QuerierMemory {
  readonly #last: { igmp?: Heard; mld?: Heard } = {};

  hear({ igmp, mld }: Queriers, nowMs: number): void {
    if (igmp !== undefined) this.#last.igmp = { querier: igmp, atMs: nowMs };
    if (mld !== undefined) this.#last.mld = { querier: mld, atMs: nowMs };
  }

  at(nowMs: number): Queriers {
    const isPresent = (heard: Heard | undefined): heard is Heard =>
      heard !== undefined && nowMs - heard.atMs < QUERIER_PRESENT_MS;
    const { igmp, mld } = this.#last;
    return {
      ...(isPresent(igmp) ? { igmp: igmp.querier } : {}),
      ...(isPresent(mld) ? { mld: mld.querier } : {}),
    };
  }
}
