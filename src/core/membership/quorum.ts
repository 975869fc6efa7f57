// Whether this node's part of the cluster is the one whose sessions speak (A16, docs/adr/0029): when a cluster falls apart, one part at most
// has most of those that were together last. Of two that do not hear each other neither has: whoever is left goes on, or, where the
// configuration says so, the one with the lowest id.
import type { NodeId } from "#base/ids.ts";
import type { SplitOfTwo } from "#base/split-of-two.ts";
import { after, instant, type Instant } from "#base/time.ts";

/** Fewer than this are not counted. */
const FEWEST: Record<SplitOfTwo, number> = { both: 3, lowest: 1 };
const NEVER = instant(Infinity);

export class Quorum {
  readonly #self: NodeId;
  /** Who was together last, as most of them know. */
  #last: ReadonlySet<NodeId> = new Set();
  #present: ReadonlySet<NodeId> = new Set();
  /** Since when just these are present. */
  #since: Instant | undefined;
  #regained = 0;
  /** What this node's master says of its part; undefined: this node is its own measure. */
  #told: boolean | undefined;
  splitOfTwo: SplitOfTwo;

  /** @param last who was together when this node ran last */
  constructor(self: NodeId, last: readonly NodeId[] = [], splitOfTwo: SplitOfTwo = "both") {
    this.#self = self;
    this.splitOfTwo = splitOfTwo;
    this.#last = new Set(last);
  }

  /**
   * Who is together by what was just heard, this node among them. Fewer than before are the measure of the next split when a detection
   * interval has passed since: whoever is cut off loses the others one after the other within that time.
   */
  seen(now: Instant, members: readonly NodeId[], detectionMs: number): void {
    const { isMost } = this;
    this.#told = undefined;
    this.#see(now, members, detectionMs);
    if (!isMost && this.isMost) this.#regained += 1;
  }

  /**
   * At a member: its master has told who is together, and whether they are most. The master alone hears of everybody who has left: where this
   * node would miss them, it takes the master's list for its own measure.
   */
  told(now: Instant, members: readonly NodeId[], detectionMs: number, isMost: boolean): void {
    const { isMost: before } = this;
    this.#see(now, members, detectionMs);
    if (isMost && !this.#isMostHere) this.#last = this.#present;
    this.#told = isMost;
    if (!before && isMost) this.#regained += 1;
  }

  /** How often this node's part has become the most, and was not before. */
  get regained(): number {
    return this.#regained;
  }

  #see(now: Instant, members: readonly NodeId[], detectionMs: number): void {
    const isSame =
      members.length === this.#present.size && members.every((id) => this.#present.has(id));
    if (this.#since === undefined || !isSame) {
      this.#present = new Set(members);
      this.#since = now;
    }
    const isMore = [...this.#last].every((id) => this.#present.has(id));
    const isSettled = now >= after(this.#since, detectionMs);
    if (isMore || (isSettled && this.#isMostHere)) this.#last = this.#present;
  }

  /**
   * It has no right to speak any more, for certain.
   * @param knows it has said so itself. An agent that crashed has not: when it starts it may take itself for the half that goes on
   */
  gone(id: NodeId, knows: boolean): void {
    if (knows || this.splitOfTwo === "both") this.#without(id);
  }

  /** This node has said that it leaves: the others go on, and its next start has to find them first. */
  left(): void {
    const isAlone = this.#last.size < 2;
    if (this.splitOfTwo === "lowest" && !isAlone) this.#without(this.#self);
  }

  #without(id: NodeId): void {
    this.#last = new Set([...this.#last].filter((one) => one !== id));
  }

  /** The others were taken out of the configuration: nobody waits for them. */
  keepOnly(admitted: { readonly has: (id: NodeId) => boolean }): void {
    for (const id of this.#last) if (!admitted.has(id)) this.#without(id);
  }

  /** Who was together last. Another set when that changes. */
  get last(): ReadonlySet<NodeId> {
    return this.#last;
  }

  get isMost(): boolean {
    return this.#told ?? this.#isMostHere;
  }

  get #isMostHere(): boolean {
    return this.#areTooFew || this.#areMost(this.#present);
  }

  get #areTooFew(): boolean {
    return this.#last.size < FEWEST[this.splitOfTwo];
  }

  /** Of an even number the half with the lowest id. */
  #areMost(part: ReadonlySet<NodeId>): boolean {
    const all = [...this.#last];
    const count = all.filter((id) => part.has(id)).length;
    if (2 * count !== all.length) return 2 * count > all.length;
    return part.has(Math.min(...all) as NodeId);
  }

  /**
   * The earliest moment at which most of them may be without this node; never, where there are too few.
   * @param lostAt when another one may give this node up at the earliest
   */
  outvotedAt(lostAt: (id: NodeId) => Instant): Instant {
    if (this.#areTooFew) return NEVER;
    const others = [...this.#last].filter((id) => id !== this.#self);
    const byLoss = others.map((id) => ({ id, at: lostAt(id) })).sort((a, b) => a.at - b.at);
    const without = new Set<NodeId>();
    for (const { id, at } of byLoss) {
      without.add(id);
      if (this.#areMost(without)) return at;
    }
    return NEVER;
  }
}
