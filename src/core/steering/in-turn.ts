// Who takes what every member receives, and in which order members hear of it when somebody else is to take it (docs/adr/0012). Whoever
// gains a slot must have it before whoever loses it knows: then for a moment both take it, one to serve it and one to keep it, and what was
// kept goes to the one that serves. The other way round, nobody would take it.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { Ownership } from "./former-owners.ts";
import { FORMER_OWNERS, type Tables } from "./tables.ts";

/** Its owner serves it; without one, the newest former owner keeps what comes; without that, the lease holder. */
const takerOf = ({ owners, former }: Ownership, slot: number, leaseHolder: NodeId): NodeId =>
  (owners[slot] || former[slot * FORMER_OWNERS] || leaseHolder) as NodeId;

/** The nodes that begin and that cease to take a slot between two published tables; `self` holds the lease. */
export function concerned(
  before: Tables | undefined,
  now: Tables,
  self: NodeId,
): { readonly gain: Set<NodeId>; readonly lose: Set<NodeId> } {
  const [gain, lose] = [new Set<NodeId>(), new Set<NodeId>()];
  for (const group of now.groups) {
    const old = before?.groups.find(({ name }) => name === group.name);
    for (let slot = 0; slot < group.owners.length; slot++) {
      const taker = takerOf(group, slot, self);
      const previous = old === undefined ? NO_NODE : takerOf(old, slot % old.owners.length, self);
      if (previous === taker) continue;
      gain.add(taker);
      lose.add(previous);
    }
  }
  return { gain, lose };
}

/**
 * Nobody gains and loses slots in the same version: it could not be both among the first and the last to hear of it. What
 * would make somebody do so stays without an owner until the next version.
 */
export class InTurn {
  readonly #self: NodeId;
  readonly #behind: ReadonlySet<NodeId>;
  readonly #gaining = new Set<NodeId>();
  readonly #losing = new Set<NodeId>();

  constructor(rules: { readonly self: NodeId; readonly behind: ReadonlySet<NodeId> }) {
    this.#self = rules.self;
    this.#behind = rules.behind;
  }

  /** Takes owners back from slots that can wait. */
  postpone(before: Ownership, owners: Uint16Array): void {
    const open: number[] = [];
    for (let slot = 0; slot < owners.length; slot++) {
      const [owner, previous] = [owners[slot] as NodeId, before.owners[slot]];
      if (owner === NO_NODE || owner === previous) continue;
      if (previous === NO_NODE) open.push(slot);
      else this.#gaining.add(owner); // a dead one's: at once
    }
    for (const slot of open) {
      if (!this.#mayChange(before, slot, owners[slot] as NodeId)) owners[slot] = NO_NODE;
    }
  }

  #mayChange(before: Ownership, slot: number, owner: NodeId): boolean {
    const keeper = takerOf(before, slot, this.#self);
    // who is behind may be serving it: it is not given, only admitted
    if (keeper === owner || this.#behind.has(owner)) return true;
    if (this.#gaining.has(keeper) || this.#losing.has(owner)) return false;
    this.#gaining.add(owner);
    this.#losing.add(keeper);
    return true;
  }
}
