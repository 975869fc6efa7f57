// The chain of a slot's earlier owners (B4, docs/adr/0004): whom to ask about a connection that the present owner
// does not know. Newest first, without the present owner, without nodes that cannot be reached.
import { FORMER_OWNERS } from "./tables.ts";

/** Owners and earlier owners of all slots of one group; the same layout as in GroupTable. */
export interface Ownership {
  readonly owners: Uint16Array;
  readonly former: Uint16Array;
}

/** Writes one slot's chain: the candidates in order, each once, as many as fit. */
function writeChain(
  former: Uint16Array,
  slot: number,
  candidates: Iterable<number>,
  accepts: (node: number) => boolean,
): void {
  const start = slot * FORMER_OWNERS;
  let length = 0;
  for (const node of candidates) {
    if (length === FORMER_OWNERS) return;
    const chain = former.subarray(start, start + length);
    if (node === 0 || !accepts(node) || chain.includes(node)) continue;
    former[start + length++] = node;
  }
}

/** Chains after `owners` replaced those of `before`; `reachable` is indexed by node id. */
export function chainsAfter(
  before: Ownership,
  owners: Uint16Array,
  reachable: Uint8Array,
): Uint16Array {
  const former = new Uint16Array(owners.length * FORMER_OWNERS);
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = owners[slot];
    const old = before.owners[slot] ?? 0;
    const start = slot * FORMER_OWNERS;
    if (old === owner && before.former[start] === 0) continue;
    const chain = before.former.subarray(start, start + FORMER_OWNERS);
    writeChain(former, slot, [old, ...chain], (node) => node !== owner && reachable[node] === 1);
  }
  return former;
}

/**
 * The same ownership over another number of slots (both powers of two). Growing: slot i was part of slot i mod the old
 * size, so every flow keeps its owner and chain. Shrinking: several slots fall into one; the first one's owner stays,
 * the others' owners go into the chain, as many as fit.
 */
export function resized(before: Ownership, slots: number): Ownership {
  const size = before.owners.length;
  const owners = new Uint16Array(slots);
  const former = new Uint16Array(slots * FORMER_OWNERS);
  for (let slot = 0; slot < slots; slot++) {
    const sources: number[] = [];
    for (let source = slot % size; source < size; source += slots) sources.push(source);
    const owner = before.owners[sources[0] ?? 0] ?? 0;
    owners[slot] = owner;
    const candidates = [
      ...sources.slice(1).map((source) => before.owners[source] ?? 0),
      ...sources.flatMap((source) => [
        ...before.former.subarray(source * FORMER_OWNERS, (source + 1) * FORMER_OWNERS),
      ]),
    ];
    writeChain(former, slot, candidates, (node) => node !== owner);
  }
  return { owners, former };
}
