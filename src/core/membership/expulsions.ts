// Members that were told to go: not listed any more, so they must stop taking frames, but they may not have heard of it yet. They
// depart, and their slots move, when they have heard it or are as silent as a dead member (docs/adr/0014).
import type { NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { Member } from "./types.ts";

interface Expelled {
  readonly member: Member;
  readonly departsAt: Instant;
}

export class Expulsions {
  /** Bounded by the members. */
  readonly #expelled = new Map<NodeId, Expelled>();

  get deadline(): Instant | undefined {
    if (this.#expelled.size === 0) return undefined; // asked after every step
    let first: Instant | undefined;
    for (const { departsAt } of this.#expelled.values()) first = earliest(first, departsAt);
    return first;
  }

  get members(): Member[] {
    return Array.from(this.#expelled.values(), ({ member }) => member);
  }

  begin(now: Instant, member: Member, intervalMs: number): void {
    this.#expelled.set(member.id, { member, departsAt: after(now, intervalMs) });
  }

  /** Those whose time has come; they are forgotten here. */
  due(now: Instant): Member[] {
    if (this.#expelled.size === 0) return [];
    return this.members.filter((member) => {
      const departsAt = this.#expelled.get(member.id)?.departsAt ?? now;
      return departsAt <= now && this.#expelled.delete(member.id);
    });
  }

  /** One that is about to be a member again, which it can only be after it has given up everything. */
  take(id: NodeId): Member | undefined {
    const member = this.#expelled.get(id)?.member;
    this.#expelled.delete(id);
    return member;
  }
}
