// The member list: in order, cut into parts that fit a datagram, and put together again (A7).
import { compareIp } from "#base/address.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { MAX_ROSTER, type MasterKeepalive, ROSTER_PART } from "#wire/cluster/message.ts";
import type { Member } from "./types.ts";

export const byAddress = (a: Member, b: Member): number => compareIp(a.address, b.address);

/** The member that takes over when the master dies: the lowest address after the master's, of those that can be master. */
export function secondaryOf(
  members: readonly Member[],
  master: NodeId,
  canLead: (id: NodeId) => boolean,
): NodeId {
  let first: Member | undefined;
  for (const member of members) {
    if (member.id === master || !canLead(member.id)) continue;
    if (first === undefined || byAddress(member, first) < 0) first = member;
  }
  return first?.id ?? NO_NODE;
}

export interface RosterPart {
  readonly offset: number;
  readonly members: readonly Member[];
}

export function rosterParts(members: readonly Member[]): RosterPart[] {
  const parts: RosterPart[] = [];
  for (let offset = 0; offset < members.length; offset += ROSTER_PART) {
    parts.push({ offset, members: members.slice(offset, offset + ROSTER_PART) });
  }
  return parts;
}

/** Collects the parts of one version of the list. Versions are numbered anew in each reign of a master. */
export class RosterAssembly {
  #epoch = -1;
  #roster = -1;
  #parts = new Map<number, readonly Member[]>();

  /** The whole list, sorted by address, when this part completed it; undefined as long as parts are missing. */
  add(part: MasterKeepalive): readonly Member[] | undefined {
    const ahead = part.epoch - this.#epoch || part.roster - this.#roster;
    if (part.memberCount > MAX_ROSTER || ahead < 0) return undefined;
    if (ahead > 0) {
      this.#epoch = part.epoch;
      this.#roster = part.roster;
      this.#parts.clear();
    } else if (this.#parts.has(part.offset)) return undefined;
    this.#parts.set(part.offset, part.members);
    const members = [...this.#parts.values()].flat();
    if (members.length < part.memberCount) return undefined;
    return members.sort(byAddress);
  }
}
