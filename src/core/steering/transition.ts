// The next step from the tables that are published towards those that are wanted (A8, A15; docs/adr/0009). Where one node forwards, a
// slot goes to its new owner in one step. Where every member filters (A13), two members must never both take a
// slot, so a slot of a living member moves in two: first *let go*, the slot has no owner and the old one is the first of its former
// owners, who keeps packets of new connections for whoever comes next (docs/adr/0012); once everybody has acknowledged that, *give*.
//
// A slot that was let go may still be served by a member that does not know it yet: it is *uncertain* until the wait for
// acknowledgements has ended, and then those that are `behind` keep what they may still serve.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { chainsAfter, isAmong, resized, type Ownership } from "./former-owners.ts";
import { InTurn } from "./in-turn.ts";
import { flags } from "./ownership.ts";
import { sameNumbers } from "./same-content.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";

/**
 * A planned move leaves a slot no more former owners than this: the third place is for deaths, which ask nobody (docs/adr/0004).
 */
export const PLANNED_FORMER_OWNERS = FORMER_OWNERS - 1;

export interface StepRules {
  readonly self: NodeId;
  /** Every member filters. False: slots move in one step. */
  readonly filtered: boolean;
  /** Members. The accept leases of everybody else have run out, so their slots are free. */
  readonly members: ReadonlySet<NodeId>;
  /** Those of them that go by tables of this master: others cannot keep anything for a slot without an owner. */
  readonly ready: ReadonlySet<NodeId>;
  /** Slots that were let go lately, by group. */
  readonly uncertain: SlotSets;
  /** The wait for acknowledgements has ended: what is uncertain is decided now. */
  readonly released: boolean;
  /** Slots of members may be let go. Not in a publication that is used before it is acknowledged, nor soon after a change of master. */
  readonly mayLetGo: boolean;
  /** Members that did not acknowledge in time: they keep what they have, and get nothing. */
  readonly behind: ReadonlySet<NodeId>;
  /** The member that would be master next does not know what was let go: nothing moves. */
  readonly frozen: boolean;
  /**
   * The former owners by which members go now, by group, with those that the tables to be published leave out. A chain gets shorter in
   * one version and its slot moves in the next one: at once, and nodes with the two versions would ask some twice and others never.
   */
  readonly asked?: ReadonlyMap<string, Uint16Array>;
  /** This node has just become master: the one before may have given what is without an owner in the tables here. */
  readonly isNew: boolean;
  /**
   * This node has just become master in the place of a dead one and takes that one's slots itself at first, in the groups that it
   * serves: it is the only member that goes by the new tables at once. They move on as in any planned change.
   */
  readonly standsIn?: { readonly by: NodeId; readonly forMaster: NodeId } | undefined;
}

export type SlotSets = ReadonlyMap<string, ReadonlySet<number>>;

/** One slot as it is published. */
interface Published {
  readonly owner: NodeId;
  /** Members among its former owners, newest first. */
  readonly former: readonly NodeId[];
  readonly isUncertain: boolean;
  /** There is no room in the chain for the present owner. */
  readonly isFull: boolean;
}

function openSlot({ former, isUncertain }: Published, wanted: NodeId, rules: StepRules): NodeId {
  const [newest] = former;
  if (!isUncertain || newest === undefined) return rules.behind.has(wanted) ? NO_NODE : wanted;
  if (!rules.released) return NO_NODE;
  const slow = former.find((id) => rules.behind.has(id));
  if (slow !== undefined) return slow;
  return rules.frozen || rules.behind.has(wanted) ? newest : wanted;
}

/** Who owns the slot after this step. */
function nextOwner(published: Published, wanted: NodeId, rules: StepRules): NodeId {
  const { owner, isFull } = published;
  const isMember = rules.members.has(owner);
  if (!rules.filtered) return isMember && (isFull || rules.behind.has(wanted)) ? owner : wanted;
  if (owner === NO_NODE) return openSlot(published, wanted, rules);
  if (owner === wanted) return owner;
  if (!isMember) return owner === rules.standsIn?.forMaster ? rules.standsIn.by : wanted;
  const isSlow = rules.frozen || rules.behind.has(owner) || rules.behind.has(wanted);
  const stays = !rules.mayLetGo || isFull || isSlow;
  return stays ? owner : NO_NODE;
}

/**
 * Puts a node at the head of a slot's chain. Where it was not in it and there is no room, the oldest falls out, or, if that is not
 * wanted, nothing happens.
 */
function lead(chain: Uint16Array, node: NodeId, mayDrop: boolean): void {
  const at = chain.indexOf(node);
  if (at === -1 && !mayDrop && chain[FORMER_OWNERS - 1] !== NO_NODE) return;
  chain.copyWithin(1, 0, at === -1 ? FORMER_OWNERS - 1 : at);
  chain[0] = node;
}

/**
 * Who keeps what comes for slots without an owner is the head of their chains. The node a slot is meant for may have it already, by
 * tables of the former master that did not come here. Who has gone keeps nothing, so the master does it instead.
 */
function nameKeepers(
  { owners, former, home }: Pick<GroupTable, "owners" | "former" | "home">,
  { self, ready, isNew }: StepRules,
): void {
  for (let slot = 0; slot < owners.length; slot++) {
    const start = slot * FORMER_OWNERS;
    if (owners[slot] !== NO_NODE || former[start] === NO_NODE) continue;
    const chain = former.subarray(start, start + FORMER_OWNERS);
    const meant = home[slot] as NodeId;
    if (isNew && ready.has(meant)) lead(chain, meant, false);
    if (!ready.has(chain[0] as NodeId)) lead(chain, self, true);
  }
}

/** How many nodes a slot's owner and the chain at `start` are together, without `except`. */
function countOthers(owner: number, chain: Uint16Array, start: number, except: number): number {
  let count = owner === NO_NODE || owner === except ? 0 : 1;
  for (let k = 0; k < FORMER_OWNERS; k++) {
    const node = chain[start + k] ?? NO_NODE;
    if (node === NO_NODE || node === except || node === owner) continue;
    if (!isAmong(chain, start, k, node)) count += 1;
  }
  return count;
}

/** Nobody is asked about the slot's connections. */
function isEmpty(chain: Uint16Array, start: number): boolean {
  for (let at = start; at < start + FORMER_OWNERS; at++) if (chain[at] !== NO_NODE) return false;
  return true;
}

interface Reach {
  readonly rules: StepRules;
  /** Indexed by node id. */
  readonly reachable: Uint8Array;
  readonly inTurn: InTurn;
}

/** One slot after another of a group; no object for each, since there may be 65 536. */
class PublishedSlots implements Published {
  readonly #before: Ownership;
  readonly #reach: Reach;
  readonly #uncertain: ReadonlySet<number> | undefined;
  /** As long as the group keeps its size: by which chains members go now. */
  readonly #asked: Uint16Array;
  #slot = 0;
  #wish = NO_NODE as number;

  constructor(before: Ownership, group: string, reach: Reach) {
    this.#before = before;
    this.#reach = reach;
    this.#uncertain = reach.rules.uncertain.get(group);
    this.#asked = reach.rules.asked?.get(group) ?? before.former;
  }

  at(slot: number, wish: number): this {
    [this.#slot, this.#wish] = [slot, wish];
    return this;
  }

  get owner(): NodeId {
    return (this.#before.owners[this.#slot] ?? NO_NODE) as NodeId;
  }

  get former(): readonly NodeId[] {
    const { rules, reachable } = this.#reach;
    const start = this.#slot * FORMER_OWNERS;
    const chain = [...this.#before.former.subarray(start, start + FORMER_OWNERS)] as NodeId[];
    return chain.filter((id) => reachable[id] === 1 && rules.members.has(id));
  }

  get isUncertain(): boolean {
    return this.#uncertain?.has(this.#slot) === true;
  }

  /** Where a slot is let go first, its new owner is still one of the former ones for a moment. */
  get isFull(): boolean {
    const { owner } = this;
    const start = this.#slot * FORMER_OWNERS;
    const chain = start < this.#asked.length ? this.#asked : this.#before.former;
    if (isEmpty(chain, start)) return false;
    if (this.#reach.rules.filtered && countOthers(owner, chain, start, NO_NODE) > FORMER_OWNERS) {
      return true;
    }
    return countOthers(owner, chain, start, this.#wish) > PLANNED_FORMER_OWNERS;
  }
}

function ownersTowards(before: Ownership, wanted: GroupTable, reach: Reach): Uint16Array {
  const { rules } = reach;
  if (sameNumbers(before.owners, wanted.owners) && !wanted.owners.includes(NO_NODE)) {
    return before.owners;
  }
  const serves = rules.standsIn !== undefined && wanted.owners.includes(rules.standsIn.by);
  const own = serves ? rules : { ...rules, standsIn: undefined };
  const slots = new PublishedSlots(before, wanted.name, reach);
  // by older tables who is behind may own a slot alone, and reset what others have in it: until it has the newest, the master serves
  const isServing = wanted.owners.includes(rules.self);
  const owners = wanted.owners.slice();
  for (let slot = 0; slot < owners.length; slot++) {
    const [wish, owner] = [owners[slot] as NodeId, (before.owners[slot] ?? NO_NODE) as NodeId];
    if (owner === wish && owner !== NO_NODE) continue;
    const isLeft = owner !== NO_NODE && !rules.members.has(owner);
    const isLate = isServing && isLeft && rules.behind.has(wish);
    const taker = isLate ? rules.self : wish;
    owners[slot] = nextOwner(slots.at(slot, taker), taker, own);
  }
  return owners;
}

/** Slots without an owner. */
function* unowned(owners: Uint16Array): Generator<number, void> {
  for (let at = owners.indexOf(NO_NODE); at !== -1; at = owners.indexOf(NO_NODE, at + 1)) yield at;
}

/** Whether a slot has no owner that is to have one. */
function waitsForOwner(owners: Uint16Array, wanted: Uint16Array): boolean {
  for (const slot of unowned(owners)) if (wanted[slot] !== NO_NODE) return true;
  return false;
}

/** Whether any slots of the published group that are to become one slot have different owners. */
function isMixed({ owners }: GroupTable, slots: number): boolean {
  return owners.some((owner, slot) => owner !== owners[slot % slots]);
}

/** The wanted group with as many slots as are published: those that will become one have the same owner. */
function spread(wanted: GroupTable, slots: number): GroupTable {
  const column = (values: Uint16Array): Uint16Array =>
    new Uint16Array(slots).map((_, slot) => values[slot % values.length] ?? NO_NODE);
  return { ...wanted, owners: column(wanted.owners), home: column(wanted.home) };
}

function nextGroup(
  published: GroupTable | undefined,
  wanted: GroupTable,
  reach: Reach,
): GroupTable {
  if (published === undefined) return wanted;
  const { rules, reachable } = reach;
  const size = published.owners.length;
  const slots = wanted.owners.length;
  if (rules.filtered && size > slots && isMixed(published, slots)) {
    return nextGroup(published, spread(wanted, size), reach);
  }
  const before = size === slots ? published : resized(published, slots);
  // what does not change is shared with the tables that are published; these are not to be written to
  const own = (column: Uint16Array): Uint16Array => (rules.filtered ? column.slice() : column);
  const owners = own(ownersTowards(before, wanted, reach));
  if (rules.filtered) reach.inTurn.postpone(before, owners);
  const former = own(chainsAfter(before, owners, reachable));
  if (rules.filtered) nameKeepers({ owners, former, home: wanted.home }, rules);
  const moves = waitsForOwner(owners, wanted.owners);
  // where every member filters, the lease holder serves nothing of a group without nodes: a node that comes back takes its slots at once
  const isUnserved = rules.filtered && owners.includes(NO_NODE);
  return { ...wanted, owners, former, holds: wanted.holds || moves || isUnserved };
}

/** What is published next. Equal to `wanted` but for the chains when nothing has to be waited for. */
export function stepTowards(
  published: Tables | undefined,
  wanted: Tables,
  rules: StepRules,
): Tables {
  const reachable = flags(wanted.nodes.map(({ id }) => id));
  const inTurn = new InTurn(rules);
  const groups = wanted.groups.map((group) =>
    nextGroup(
      published?.groups.find(({ name }) => name === group.name),
      group,
      { rules, reachable, inTurn },
    ),
  );
  return { ...wanted, groups };
}

/** The slots that `now` lets go, added to those that are uncertain already. */
export function lettingGo(before: Tables | undefined, now: Tables, uncertain: SlotSets): SlotSets {
  const result = new Map<string, Set<number>>();
  for (const { name, owners } of now.groups) {
    const old = before?.groups.find((group) => group.name === name)?.owners;
    if (old === undefined) continue;
    const slots = new Set<number>();
    for (const slot of unowned(owners)) {
      const hadOwner = (old[slot % old.length] ?? NO_NODE) !== NO_NODE;
      if (hadOwner || uncertain.get(name)?.has(slot % old.length) === true) slots.add(slot);
    }
    if (slots.size > 0) result.set(name, slots);
  }
  return result;
}

/** Every slot without an owner, by group. */
export function ownerless(tables: Tables): SlotSets {
  return new Map(tables.groups.map(({ name, owners }) => [name, new Set(unowned(owners))]));
}

/** How many slots have another owner in `wanted`. */
export function differences(published: Tables | undefined, wanted: Tables): number {
  let count = 0;
  for (const group of wanted.groups) {
    const owners = published?.groups.find(({ name }) => name === group.name)?.owners;
    if (owners?.length !== group.owners.length) continue;
    for (const [slot, owner] of group.owners.entries()) if (owners[slot] !== owner) count += 1;
  }
  return count;
}
