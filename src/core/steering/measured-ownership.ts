// Who owns which slot where nodes share measured load (A8). There are no exact shares to return to: a slot stays with its owner until
// that one dies or balancing moves it (balance.ts). So the home of a slot is simply who had it last.
import { MAX_NODE_ID, NO_NODE, type NodeId } from "#base/ids.ts";
import type { DesiredNode } from "./next-tables.ts";
import { servingFlags, type Shares } from "./ownership.ts";

/** Below this sum of a group's loads every slot counts the same: there is nothing to measure. */
export const IDLE_LOAD = 1;

/** Load of each slot; of an idle group, the plain count of slots. */
export function weighed(loads: Float64Array, slots: number): Float64Array {
  const total = loads.reduce((sum, load) => sum + load, 0);
  return loads.length === slots && total >= IDLE_LOAD ? loads : new Float64Array(slots).fill(1);
}

/** Sum of the loads of each node's slots, indexed by node id. */
export function loadByNode(owners: Uint16Array, loads: Float64Array): Float64Array {
  const sums = new Float64Array(MAX_NODE_ID + 1);
  for (const [slot, owner] of owners.entries()) {
    sums[owner] = (sums[owner] ?? 0) + (loads[slot] ?? 0);
  }
  return sums;
}

/** The node with the least load for its weight; the lowest id wins a tie. NO_NODE where nobody has a weight. */
export function leastLoaded(sums: Float64Array, serving: readonly DesiredNode[]): NodeId {
  let best: DesiredNode | undefined;
  let least = Infinity;
  for (const node of serving) {
    if (node.weight <= 0) continue;
    const scaled = (sums[node.id] ?? 0) / (node.weight * (node.part ?? 100));
    if (scaled < least || (scaled === least && best !== undefined && node.id < best.id)) {
      [best, least] = [node, scaled];
    }
  }
  return best?.id ?? NO_NODE;
}

export interface MeasuredGroup {
  readonly serving: readonly DesiredNode[];
  readonly loads: Float64Array;
  /** Slots without an owner stay so until a packet wants them (A9). */
  readonly isLazy: boolean;
}

/** Who serves keeps what it has. The slots of others go to the least loaded, the heaviest slot first. */
export function measuredOwnership(before: Shares, group: MeasuredGroup): Shares {
  const { serving, isLazy } = group;
  const serves = servingFlags(serving);
  const owners = before.owners.map((owner) => (serves[owner] === 1 ? owner : NO_NODE));
  if (!isLazy) takeOver(owners, before, serves, group);
  // a slot without an owner remembers who was to have it: the next master goes on from there
  const home = owners.map((owner, slot) => (owner === NO_NODE ? (before.home[slot] ?? 0) : owner));
  return { owners, home };
}

function takeOver(
  owners: Uint16Array,
  before: Shares,
  serves: Uint8Array,
  { serving, loads }: MeasuredGroup,
): void {
  const orphans = [...owners.keys()].filter((slot) => owners[slot] === NO_NODE);
  if (orphans.length === 0) return;
  const weights = weighed(loads, owners.length);
  const sums = loadByNode(owners, weights);
  orphans.sort((a, b) => (weights[b] ?? 0) - (weights[a] ?? 0) || a - b);
  for (const slot of orphans) {
    const wasMeant = before.owners[slot] === NO_NODE ? (before.home[slot] ?? NO_NODE) : NO_NODE;
    const taker = serves[wasMeant] === 1 ? (wasMeant as NodeId) : leastLoaded(sums, serving);
    owners[slot] = taker;
    // a slot that is idle at present counts a little, so that not all of them go to one node
    sums[taker] = (sums[taker] ?? 0) + Math.max(weights[slot] ?? 0, IDLE_LOAD / owners.length);
  }
}
