// What the master keeps of one member: how well it hears it, and since when it does not.
import type { Instant } from "#base/time.ts";
import type { MemberKeepalive } from "#wire/cluster/message.ts";
import { keepalivesPerInterval, INITIAL_LOSS, LossEstimate } from "./loss-estimate.ts";
import { Silence } from "./silence.ts";
import type { Hearing, Member } from "./types.ts";

export class MemberWatch {
  readonly member: Member;
  /** Which start of the node is the member. */
  readonly boot: bigint;
  readonly silence: Silence;
  readonly #loss = new LossEstimate();
  #wanted = keepalivesPerInterval(INITIAL_LOSS);

  constructor(member: Member, boot: bigint, intervalMs: number, now: Instant) {
    this.member = member;
    this.boot = boot;
    this.silence = new Silence(intervalMs, now);
  }

  heard(at: Instant, keepalive: MemberKeepalive): void {
    this.silence.heard(at);
    this.#loss.received(keepalive.sequence);
    this.#wanted = keepalive.perInterval;
  }

  get hearing(): Hearing {
    return { id: this.member.id, loss: this.#loss.loss, heardAt: this.silence.lengthSince };
  }

  /** Keepalives per detection interval that this member needs, in either direction (A17). */
  get perInterval(): number {
    return Math.max(this.#loss.perInterval, this.#wanted);
  }
}
