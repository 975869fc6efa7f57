// Which of two nodes that want to be master comes first.
import { compareIp, type IpAddress } from "#base/address.ts";
import type { ConfigVersion } from "#base/ids.ts";

export interface Candidate {
  readonly config: ConfigVersion;
  readonly address: IpAddress;
}

/** The newer configuration, then the lower address (A3). */
export function outranks(a: Candidate, b: Candidate): boolean {
  if (a.config.counter !== b.config.counter) return a.config.counter > b.config.counter;
  return compareIp(a.address, b.address) < 0;
}

export interface Claim {
  readonly members: number;
  readonly address: IpAddress;
}

/** Of two masters: more members, then the lower address (A5). */
export function prevails(a: Claim, b: Claim): boolean {
  if (a.members !== b.members) return a.members > b.members;
  return compareIp(a.address, b.address) < 0;
}
