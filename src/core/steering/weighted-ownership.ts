// Who owns which slot where nodes share slots by their weights (B3): exact shares, as little moved as possible. A slot has a
// home, its owner while every configuration node serves; while the home node does not serve, another one stands in.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { DesiredNode } from "./next-tables.ts";
import { countByNode, servingFlags, sizeFor } from "./ownership.ts";
import { shareSlots } from "./shares.ts";

/**
 * Gives each slot of `owners` that is listed in `open` an owner, so that every node ends with its number of `quotas`
 * among them. A slot keeps the owner that it has while that one's quota lasts.
 */
function fill(
  owners: Uint16Array,
  open: readonly number[],
  quotas: ReadonlyMap<NodeId, number>,
): void {
  const left = new Uint32Array(sizeFor(quotas.keys()));
  for (const [id, quota] of quotas) left[id] = quota;
  const vacant: number[] = [];
  for (const slot of open) {
    const owner = owners[slot] ?? NO_NODE;
    const quota = left[owner] ?? 0;
    if (quota > 0) left[owner] = quota - 1;
    else vacant.push(slot);
  }
  const takers = [...quotas.keys()].filter((id) => (left[id] ?? 0) > 0);
  let next = 0;
  for (const slot of vacant) {
    const taker = takers[next] ?? NO_NODE;
    owners[slot] = taker;
    left[taker] = (left[taker] ?? 0) - 1;
    if (left[taker] === 0) next++;
  }
}

/** Owner of each slot if every configuration node served: near the ideal shares, as little moved as possible. */
export function nextHome(previous: Uint16Array, nodes: readonly DesiredNode[]): Uint16Array {
  const home = previous.slice();
  const held = countByNode(home);
  const claims = nodes.map(({ id, weight }) => ({ id, weight, held: held[id] ?? 0, pinned: 0 }));
  fill(home, [...home.keys()], shareSlots(home.length, claims));
  return home;
}

/** Home nodes that serve own their slots; the other slots get stand-ins, the previous ones where that is fair. */
export function nextOwners(
  home: Uint16Array,
  previous: Uint16Array,
  serving: readonly DesiredNode[],
): Uint16Array {
  const serves = servingFlags(serving);
  const owners = home.map((id, slot) => (serves[id] === 1 ? id : (previous[slot] ?? NO_NODE)));
  const orphans = [...home.keys()].filter((slot) => serves[home[slot] ?? NO_NODE] !== 1);
  const pinned = countByNode(home);
  const held = countByNode(owners);
  const claims = serving.map(({ id, weight }) => ({
    id,
    weight,
    held: held[id] ?? 0,
    pinned: pinned[id] ?? 0,
  }));
  const quotas = new Map(
    [...shareSlots(home.length, claims)].map(([id, count]) => [id, count - (pinned[id] ?? 0)]),
  );
  fill(owners, orphans, quotas);
  return owners;
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
