// The next step from the tables that are published towards those that are wanted (A8, A15; docs/adr/0009). Where one node forwards, a
// slot goes to its new owner in one step. Where every member filters (A13), two members must never both take a
// slot, so a slot of a living member moves in two: first *let go*, the slot has no owner and the old one is the first of its former
// owners; once everybody has acknowledged that, *give*.
//
// A slot that was let go may still be served by a member that does not know it yet: it is *uncertain* until the wait for
// acknowledgements has ended, and then those that are `behind` keep what they may still serve.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { chainsAfter, resized } from "./former-owners.ts";
import { flags } from "./ownership.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "./tables.ts";

/**
 * A planned move leaves a slot no more former owners than this. While nodes hold different versions, a segment may be passed
 * on once more than the chain is long, and a frame is only passed on four times (docs/adr/0004). The third place is for deaths.
 */
export const PLANNED_FORMER_OWNERS = FORMER_OWNERS - 1;

export interface StepRules {
  /** Every member filters. False: slots move in one step. */
  readonly filtered: boolean;
  /** Members. The accept leases of everybody else have run out, so their slots are free. */
  readonly members: ReadonlySet<NodeId>;
  /** Slots that were let go lately, by group. */
  readonly uncertain: SlotSets;
  /** The wait for acknowledgements has ended: what is uncertain is decided now. */
  readonly released: boolean;
  /** Slots of members may be let go. Not in a publication that is used before it is acknowledged. */
  readonly mayLetGo: boolean;
  /** Members that did not acknowledge in time: they keep what they have, and get nothing. */
  readonly behind: ReadonlySet<NodeId>;
  /** The member that would be master next does not know what was let go: nothing moves. */
  readonly frozen: boolean;
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
  /** Several slots with different owners fell into this one. */
  readonly isMixed: boolean;
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
  const { owner, isMixed, isFull } = published;
  const isMember = rules.members.has(owner);
  if (!rules.filtered) return isMember && isFull ? owner : wanted;
  if (owner === NO_NODE) return openSlot(published, wanted, rules);
  if (owner === wanted && !isMixed) return owner;
  if (!isMember) return owner === rules.standsIn?.forMaster ? rules.standsIn.by : wanted;
  const isSlow = rules.frozen || rules.behind.has(owner) || rules.behind.has(wanted);
  const stays = !rules.mayLetGo || isFull || isSlow;
  return stays ? owner : NO_NODE;
}

/** Whether the slots of the published group that become one slot have the same owner. */
function mixed(group: GroupTable, slot: number, slots: number): boolean {
  const owner = group.owners[slot];
  for (let other = slot + slots; other < group.owners.length; other += slots) {
    if (group.owners[other] !== owner) return true;
  }
  return false;
}

/** The node a slot is meant for may have it already, by tables of the former master that did not come here. */
function askHomeFirst(
  former: Uint16Array,
  owners: Uint16Array,
  home: Uint16Array,
  members: ReadonlySet<NodeId>,
): void {
  for (const [slot, owner] of owners.entries()) {
    const start = slot * FORMER_OWNERS;
    const chain = former.subarray(start, start + FORMER_OWNERS);
    const meant = home[slot] as NodeId;
    if (owner !== NO_NODE || chain[0] === NO_NODE || chain[FORMER_OWNERS - 1] !== NO_NODE) continue;
    if (!members.has(meant) || chain.includes(meant)) continue;
    chain.copyWithin(1, 0);
    chain[0] = meant;
  }
}

/**
 * Whether the chain would get too long if the slot went to `wanted`. Where it is let go first, its new owner is still one of
 * the former ones for a moment.
 */
function hasNoRoom(
  chain: readonly NodeId[],
  { wanted, isFiltered }: { readonly wanted: number; readonly isFiltered: boolean },
): boolean {
  const others = new Set<number>(chain);
  others.delete(NO_NODE);
  if (isFiltered && others.size > FORMER_OWNERS) return true;
  others.delete(wanted);
  return others.size > PLANNED_FORMER_OWNERS;
}

interface Reach {
  readonly rules: StepRules;
  /** Indexed by node id. */
  readonly reachable: Uint8Array;
}

function ownersTowards(published: GroupTable, wanted: GroupTable, reach: Reach): Uint16Array {
  const { rules, reachable } = reach;
  const slots = wanted.owners.length;
  const before = published.owners.length === slots ? published : resized(published, slots);
  const shrinks = published.owners.length > slots;
  const uncertain = rules.uncertain.get(wanted.name);
  const serves = rules.standsIn !== undefined && wanted.owners.includes(rules.standsIn.by);
  const own = serves ? rules : { ...rules, standsIn: undefined };
  return wanted.owners.map((wish, slot) => {
    const owner = (before.owners[slot] ?? NO_NODE) as NodeId;
    if (owner === wish && owner !== NO_NODE && !shrinks) return owner;
    const chain = before.former.subarray(slot * FORMER_OWNERS, (slot + 1) * FORMER_OWNERS);
    const former = ([...chain] as NodeId[]).filter((id) => reachable[id] === 1);
    const now: Published = {
      owner,
      former: former.filter((id) => rules.members.has(id)),
      isUncertain: uncertain?.has(slot) === true,
      isMixed: shrinks && mixed(published, slot, slots),
      isFull: hasNoRoom([owner, ...former], { wanted: wish, isFiltered: rules.filtered }),
    };
    return nextOwner(now, wish as NodeId, own);
  });
}

function nextGroup(
  published: GroupTable | undefined,
  wanted: GroupTable,
  reach: Reach,
): GroupTable {
  if (published === undefined) return wanted;
  const { rules, reachable } = reach;
  const slots = wanted.owners.length;
  const owners = ownersTowards(published, wanted, reach);
  const before = published.owners.length === slots ? published : resized(published, slots);
  const former = chainsAfter(before, owners, reachable);
  if (rules.filtered && rules.isNew) askHomeFirst(former, owners, wanted.home, rules.members);
  const moves = owners.some((owner, slot) => owner === NO_NODE && wanted.owners[slot] !== NO_NODE);
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
  const groups = wanted.groups.map((group) =>
    nextGroup(
      published?.groups.find(({ name }) => name === group.name),
      group,
      { rules, reachable },
    ),
  );
  return { ...wanted, groups };
}

/** The slots that `now` lets go, added to those that are uncertain already. */
export function lettingGo(before: Tables | undefined, now: Tables, uncertain: SlotSets): SlotSets {
  const result = new Map<string, Set<number>>();
  for (const { name, owners } of now.groups) {
    const old = before?.groups.find((group) => group.name === name)?.owners;
    const slots = new Set<number>();
    for (const [slot, owner] of owners.entries()) {
      if (owner !== NO_NODE || old === undefined) continue;
      const hadOwner = (old[slot % old.length] ?? NO_NODE) !== NO_NODE;
      if (hadOwner || uncertain.get(name)?.has(slot % old.length) === true) slots.add(slot);
    }
    if (slots.size > 0) result.set(name, slots);
  }
  return result;
}

/** Every slot without an owner, by group. */
export function ownerless(tables: Tables): SlotSets {
  return new Map(
    tables.groups.map(({ name, owners }) => [
      name,
      new Set([...owners.keys()].filter((slot) => owners[slot] === NO_NODE)),
    ]),
  );
}

/** The nodes that gain or lose a slot between two published tables. */
export function concerned(
  before: Tables | undefined,
  now: Tables,
): { readonly gain: Set<NodeId>; readonly lose: Set<NodeId> } {
  const [gain, lose] = [new Set<NodeId>(), new Set<NodeId>()];
  for (const group of now.groups) {
    const old = before?.groups.find(({ name }) => name === group.name)?.owners;
    for (const [slot, owner] of group.owners.entries()) {
      const previous = old?.[slot % old.length] ?? NO_NODE;
      if (previous === owner) continue;
      gain.add(owner as NodeId);
      lose.add(previous as NodeId);
    }
  }
  return { gain, lose };
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
