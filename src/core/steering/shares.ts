// How many slots each node gets (B3): within one of its ideal share, and such that as few slots as possible move.
import { assert } from "#base/assert.ts";
import type { NodeId } from "#base/ids.ts";

export interface Claim {
  readonly id: NodeId;
  /** Whole number; 0 = no slots. */
  readonly weight: number;
  /** Slots that it has now and would like to keep. */
  readonly held: number;
  /** Slots that it keeps whatever its share is; part of `held`. */
  readonly pinned: number;
}

interface Share {
  readonly claim: Claim;
  /** Ideal share, rounded down. */
  readonly floor: number;
  /** What rounding down left over, in units of one slot / total weight. */
  readonly remainder: number;
  count: number;
}

/** Rounding up a node that holds more than its share saves a move; then the largest remainder, then the lowest id. */
function roundUp(shares: readonly Share[], missing: number): void {
  const surplus = ({ claim, count }: Share): number => (claim.held > count ? 1 : 0);
  const candidates = shares
    .filter((share) => share.remainder > 0 && share.count === share.floor)
    .sort(
      (a, b) => surplus(b) - surplus(a) || b.remainder - a.remainder || a.claim.id - b.claim.id,
    );
  assert(candidates.length >= missing, "there is a remainder for each slot that is left over");
  for (const share of candidates.slice(0, missing)) share.count++;
}

/** Pinned slots add up to more than the shares allow: those whose share was cut least give way. */
function giveWay(shares: readonly Share[], excess: number): void {
  const givers = [...shares].sort((a, b) => a.remainder - b.remainder || b.claim.id - a.claim.id);
  let left = excess;
  while (left > 0) {
    const able = givers.filter((share) => share.count > share.claim.pinned).slice(0, left);
    assert(able.length > 0, "no more slots are pinned than there are");
    for (const share of able) share.count--;
    left -= able.length;
  }
}

/**
 * Slots per node; their sum is `slots`, or nobody gets any where nobody has a weight. Each count is the ideal share
 * rounded down or up, except where `pinned` slots of the others forbid it.
 */
export function shareSlots(slots: number, claims: readonly Claim[]): Map<NodeId, number> {
  const total = claims.reduce((sum, claim) => sum + claim.weight, 0);
  const shares = claims
    .filter((claim) => claim.weight > 0)
    .map((claim): Share => {
      const floor = Math.floor((slots * claim.weight) / total);
      const remainder = slots * claim.weight - floor * total;
      return { claim, floor, remainder, count: Math.max(floor, claim.pinned) };
    });
  const missing = slots - shares.reduce((sum, share) => sum + share.count, 0);
  if (shares.length > 0 && missing > 0) roundUp(shares, missing);
  if (missing < 0) giveWay(shares, -missing);
  return new Map(shares.map(({ claim, count }) => [claim.id, count]));
}
