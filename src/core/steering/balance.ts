// A8: which slot to move, if any. From the most loaded member K to the least loaded J, both by load over weight, and only when K
// does not end below J. Each such move makes Σ load² / weight smaller, so moves come to an end while the load is steady;
// smoothing (load-estimate.ts) and a threshold keep noise from starting them again.
import type { NodeId } from "#base/ids.ts";
import { loadByNode } from "./measured-ownership.ts";
import type { DesiredNode } from "./next-tables.ts";

/** K and J further apart than this part of the mean load per weight start moves. */
export const TOLERANCE = 0.05;
/** A slot with less than this part of the mean load of a slot is not worth a move. */
const LEAST_LOAD = 0.1;

export interface Loaded {
  readonly owners: Uint16Array;
  /** Load of each slot; see `weighed`. */
  readonly loads: Float64Array;
  readonly serving: readonly DesiredNode[];
  /** False: the slot stays where it is for now. */
  readonly mayMove: (slot: number) => boolean;
}

export interface Move {
  readonly slot: number;
  readonly from: NodeId;
  readonly to: NodeId;
}

interface Side {
  readonly id: NodeId;
  readonly weight: number;
  readonly load: number;
}

const scaled = ({ load, weight }: Side): number => load / weight;

/** Members from the least to the most loaded. */
function sides({ owners, loads, serving }: Loaded): Side[] {
  const sums = loadByNode(owners, loads);
  return serving
    .filter(({ weight }) => weight > 0)
    .map(({ id, weight, part = 100 }) => ({
      id,
      weight: (weight * part) / 100,
      load: sums[id] ?? 0,
    }))
    .sort((a, b) => scaled(a) - scaled(b) || a.id - b.id);
}

/**
 * The largest slot of each member that J can take without overshoot, (K − r) / wK ≥ (J + r) / wJ; of equal ones the first.
 * Indexed by node id; undefined where there is none.
 */
function bestSlots(group: Loaded, order: readonly Side[], to: Side): (number | undefined)[] {
  const total = order.reduce((sum, { load }) => sum + load, 0);
  const least = Math.max((LEAST_LOAD * total) / group.owners.length, Number.MIN_VALUE);
  const most: number[] = [];
  for (const from of order) {
    // half a millionth of slack for the rounding of sums
    const distance = (scaled(from) - scaled(to)) * (1 + 5e-7);
    most[from.id] = distance / (1 / from.weight + 1 / to.weight);
  }
  const best: (number | undefined)[] = [];
  for (const [slot, owner] of group.owners.entries()) {
    const load = group.loads[slot] ?? 0;
    if (load < least || load > (most[owner] ?? 0)) continue;
    const known = best[owner];
    if (known !== undefined && load <= (group.loads[known] ?? 0)) continue;
    if (group.mayMove(slot)) best[owner] = slot;
  }
  return best;
}

/** The move of this round. Undefined: nothing is gained by one. */
export function nextMove(group: Loaded): Move | undefined {
  const order = sides(group);
  const [least, most] = [order[0], order.at(-1)];
  if (least === undefined || most === undefined || least.id === most.id) return undefined;
  const total = order.reduce((sum, { load }) => sum + load, 0);
  const weight = order.reduce((sum, side) => sum + side.weight, 0);
  if (scaled(most) - scaled(least) <= (TOLERANCE * total) / weight) return undefined;
  const best = bestSlots(group, order, least);
  // where the most loaded has only slots that are too heavy, the next one may have something to give
  const from = order.findLast(({ id }) => best[id] !== undefined);
  const slot = from === undefined ? undefined : best[from.id];
  if (from === undefined || slot === undefined) return undefined;
  return { slot, from: from.id, to: least.id };
}
