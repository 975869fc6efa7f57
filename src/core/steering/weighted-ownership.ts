// Who owns which slot where nodes share slots by their weights (B3): exact shares, as little moved as possible. A slot has a
// home, its owner while every configuration node serves; while the home node does not serve, another one stands in.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { DesiredNode } from "./next-tables.ts";
import { countByNode, flags, servingFlags, sizeFor } from "./ownership.ts";
import { type Claim, shareSlots } from "./shares.ts";

/**
 * Gives each slot of `owners` but those that are `kept` (absent: none is) an owner, so that every node ends with its number of
 * `quotas` among them. A slot keeps the owner that it has while that one's quota lasts.
 */
function fill(owners: Uint16Array, quotas: ReadonlyMap<NodeId, number>, kept?: Uint8Array): void {
  const left = new Uint32Array(sizeFor(quotas.keys()));
  for (const [id, quota] of quotas) left[id] = quota;
  const vacant = new Uint32Array(owners.length);
  let count = 0;
  for (let slot = 0; slot < owners.length; slot++) {
    if (kept?.[slot] === 1) continue;
    const owner = owners[slot] ?? NO_NODE;
    const quota = left[owner] ?? 0;
    if (quota > 0) left[owner] = quota - 1;
    else vacant[count++] = slot;
  }
  const takers = [...quotas.keys()].filter((id) => (left[id] ?? 0) > 0);
  let next = 0;
  for (let at = 0; at < count; at++) {
    const slot = vacant[at] ?? 0;
    const taker = takers[next] ?? NO_NODE;
    owners[slot] = taker;
    left[taker] = (left[taker] ?? 0) - 1;
    if (left[taker] === 0) next++;
  }
}

/** Gives the slots that are not `kept`, of which the claims say how many are pinned, so that all slots are shared by weight. */
function fillRest(owners: Uint16Array, kept: Uint8Array, claims: readonly Claim[]): void {
  const shares = shareSlots(owners.length, claims);
  const sharing = claims.filter(({ id }) => shares.has(id));
  const quotas = sharing.map(({ id, pinned }) => [id, (shares.get(id) ?? 0) - pinned] as const);
  fill(owners, new Map(quotas), kept);
}

/** Owner of each slot if every configuration node served: near the ideal shares, as little moved as possible. */
export function nextHome(previous: Uint16Array, nodes: readonly DesiredNode[]): Uint16Array {
  const home = previous.slice();
  const held = countByNode(home);
  const claims = nodes.map(({ id, weight }) => ({ id, weight, held: held[id] ?? 0, pinned: 0 }));
  fill(home, shareSlots(home.length, claims));
  return home;
}

/**
 * Home nodes that serve own their slots; the other slots get stand-ins, the previous ones where that is fair. A node that starts
 * slowly (B7) owns a part of what its weight asks for, of its own slots first.
 */
export function nextOwners(
  home: Uint16Array,
  previous: Uint16Array,
  serving: readonly DesiredNode[],
): Uint16Array {
  const claimants = scaled(serving);
  const kept = keptAtHome(home, previous, claimants);
  const owners = home.slice();
  const atHome = new Uint16Array(home.length);
  for (let slot = 0; slot < home.length; slot++) {
    if (kept[slot] === 1) atHome[slot] = home[slot] ?? NO_NODE;
    else owners[slot] = previous[slot] ?? NO_NODE;
  }
  const pinned = countByNode(atHome);
  const held = countByNode(owners);
  const claims = claimants.map(({ id, weight }) => ({
    id,
    weight,
    held: held[id] ?? 0,
    pinned: pinned[id] ?? 0,
  }));
  fillRest(owners, kept, claims);
  return owners;
}

/** Nothing leaves a node that serves, however uneven that is; the rest goes where it makes shares even. */
export function stayingOwners(previous: Uint16Array, serving: readonly DesiredNode[]): Uint16Array {
  const serves = servingFlags(serving);
  const kept = Uint8Array.from(previous, (owner) => serves[owner] ?? 0);
  const pinned = countByNode(previous.filter((_, slot) => kept[slot] === 1));
  const claims = serving.map(({ id, weight }) => {
    const held = pinned[id] ?? 0;
    return { id, weight, held, pinned: held };
  });
  const owners = previous.slice();
  fillRest(owners, kept, claims);
  return owners;
}

interface Claimant {
  readonly id: NodeId;
  /** Weight and part in one number. */
  readonly weight: number;
  /** It takes less than others of its weight. */
  readonly isPartial: boolean;
}

/** What counts is how the parts compare: where all of them start slowly together, none does. */
export function scaled(serving: readonly DesiredNode[]): Claimant[] {
  const most = Math.max(...serving.map(({ part = 100 }) => part));
  const equal = serving.every(({ part = 100 }) => part === most);
  return serving.map(({ id, weight, part = 100 }) => ({
    id,
    weight: equal ? weight : weight * part,
    isPartial: part < most,
  }));
}

/** One flag per slot whose home node serves it; the slots that a partial node serves already come first. */
function keptAtHome(
  home: Uint16Array,
  previous: Uint16Array,
  claimants: readonly Claimant[],
): Uint8Array {
  const serves = flags(claimants.filter(({ weight }) => weight > 0).map(({ id }) => id));
  const kept = new Uint8Array(home.length);
  for (let slot = 0; slot < home.length; slot++) kept[slot] = serves[home[slot] ?? NO_NODE] ?? 0;
  const partial = claimants.filter(({ isPartial }) => isPartial);
  if (partial.length === 0) return kept;
  const claims = claimants.map(({ id, weight }) => ({ id, weight, held: 0, pinned: 0 }));
  const shares = shareSlots(home.length, claims);
  const surplus = Float64Array.from(
    countByNode(previous),
    (held, id) => held - (shares.get(id as NodeId) ?? 0),
  );
  for (const { id } of partial) {
    const own = [...home.keys()].filter((slot) => home[slot] === id);
    for (const slot of own) kept[slot] = 0;
    const taken = takenBack(own, { id, previous, surplus }, shares.get(id) ?? 0);
    for (const slot of taken) kept[slot] = 1;
  }
  return kept;
}

interface Taking {
  readonly id: NodeId;
  readonly previous: Uint16Array;
  /** By node: slots beyond its share. */
  readonly surplus: Float64Array;
}

/** So many of its own slots: those that it has, then one by one from whoever has most beyond its share, so that nobody else's move. */
function takenBack(
  own: readonly number[],
  { id, previous, surplus }: Taking,
  count: number,
): number[] {
  const byOwner = new Map<number, number[]>();
  for (const slot of own) {
    const owner = previous[slot] ?? NO_NODE;
    const slots = byOwner.get(owner);
    if (slots === undefined) byOwner.set(owner, [slot]);
    else slots.push(slot);
  }
  const taken = (byOwner.get(id) ?? []).slice(0, count);
  byOwner.delete(id);
  while (taken.length < count && byOwner.size > 0) {
    let [giver, most] = [NO_NODE as number, -Infinity];
    for (const owner of byOwner.keys()) {
      const excess = owner === NO_NODE ? Infinity : (surplus[owner] ?? 0);
      if (excess > most) [giver, most] = [owner, excess];
    }
    const slots = byOwner.get(giver) ?? [];
    const slot = slots.shift();
    if (slot !== undefined) taken.push(slot);
    if (slots.length === 0) byOwner.delete(giver);
    surplus[giver] = (surplus[giver] ?? 0) - 1;
  }
  return taken;
}

/**
 * A9 lazy: only an owner that serves stays, and it gives way to a home node that serves again. The other slots have no
 * owner until a packet wants one (assignment.ts).
 */
export function lazyOwners(
  home: Uint16Array,
  previous: Uint16Array,
  serving: readonly DesiredNode[],
): Uint16Array {
  const serves = servingFlags(serving);
  return home.map((id, slot) => {
    const owner = previous[slot] ?? NO_NODE;
    if (serves[owner] !== 1) return NO_NODE;
    return owner === id || serves[id] !== 1 ? owner : NO_NODE;
  });
}
