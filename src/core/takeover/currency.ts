// Whether what this member holds of another one's connections is what that one has gone on with (A16, docs/adr/0034). An owner leaves a replica out that does
// not answer, and then more may be safe than the replica knows: it must not take over from that. So it asks, and is promised for how long from
// its question on it is not left out. Whether the promise held when the owner was given up decides.
import type { NodeId } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";

/** Clocks of machines drift apart: of a promise so much is not counted on. */
const DRIFT = 0.05;
/** Questions without an answer that are kept; older ones are too old to matter. */
const MOST_OPEN = 64;

interface Owner {
  /** When which question was asked; undefined: it has no stream to this node. */
  open: Map<number, Instant> | undefined;
  /** The last question that it answered on this stream. */
  answered: number;
  until: Instant | undefined;
  /** Decided when it was given up. */
  wasCurrent: boolean | undefined;
}

export class Currency {
  readonly #owners = new Map<NodeId, Owner>();
  #asked = 0;
  /** Questions before this one do not count for hasSaid(). */
  #mark = 0;

  #of(owner: NodeId): Owner {
    const known = this.#owners.get(owner);
    if (known !== undefined) return known;
    const made = { open: undefined, answered: 0, until: undefined, wasCurrent: undefined };
    this.#owners.set(owner, made);
    return made;
  }

  /** Its stream begins, and nothing was said on it. */
  began(owner: NodeId): void {
    this.#owners.set(owner, {
      ...{ open: new Map(), answered: 0, until: undefined, wasCurrent: undefined },
    });
  }

  /** Its stream has ended. What it promised still holds, unless this node has ended it. */
  ended(owner: NodeId, byThisNode: boolean): void {
    const known = this.#of(owner);
    known.open = undefined;
    known.answered = 0;
    if (byThisNode) known.until = undefined;
  }

  /** The question for every owner that has a stream to this node. */
  ask(now: Instant): { readonly asked: number; readonly owners: readonly NodeId[] } {
    this.#asked += 1;
    const owners: NodeId[] = [];
    for (const [id, { open }] of this.#owners) {
      if (open === undefined) continue;
      if (open.size >= MOST_OPEN) open.delete([...open.keys()][0] ?? 0);
      open.set(this.#asked, now);
      owners.push(id);
    }
    return { asked: this.#asked, owners };
  }

  /** Its answer. What it had to tell before came before it. */
  relied(owner: NodeId, asked: number, forMs: number): void {
    const known = this.#of(owner);
    const at = known.open?.get(asked);
    if (at === undefined) return;
    for (const number of known.open?.keys() ?? []) if (number <= asked) known.open?.delete(number);
    known.answered = Math.max(known.answered, asked);
    known.until = after(at, forMs * (1 - DRIFT));
  }

  /** It is no member any more. */
  departed(now: Instant, owner: NodeId): void {
    const known = this.#of(owner);
    known.wasCurrent = this.isCurrent(now, owner);
    known.open = undefined;
    known.answered = 0;
  }

  /** It is a member again, and may have done without this node meanwhile: an old promise is void. */
  returned(owner: NodeId): void {
    const known = this.#of(owner);
    known.wasCurrent = undefined;
    known.until = undefined;
    known.open?.clear();
  }

  isCurrent(now: Instant, owner: NodeId): boolean {
    const known = this.#owners.get(owner);
    return known?.wasCurrent ?? (known?.until !== undefined && now < known.until);
  }

  /** From now on only what is said in answer to later questions counts. */
  hearAgain(): void {
    this.#mark = this.#asked + 1;
  }

  /** Whether it has told everything since. */
  hasSaid(owner: NodeId): boolean {
    const answered = this.#owners.get(owner)?.answered ?? 0;
    return answered > 0 && answered >= this.#mark;
  }
}
