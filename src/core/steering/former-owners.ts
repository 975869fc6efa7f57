// The chain of a slot's earlier owners (B4, docs/adr/0004): whom to ask about a connection that the present owner
// does not know. Newest first, without the present owner, without nodes that cannot be reached.
import { FORMER_OWNERS } from "./tables.ts";

/** Owners and earlier owners of all slots of one group; the same layout as in GroupTable. */
export interface Ownership {
  readonly owners: Uint16Array;
  readonly former: Uint16Array;
}

/** Whether the node is one of `length` values. */
export function isAmong(values: Uint16Array, from: number, length: number, node: number): boolean {
  for (let at = from; at < from + length; at++) if (values[at] === node) return true;
  return false;
}

/** Adds a node to the end of a chain that begins at `start`, unless it is there already, or there is no room. */
function append(former: Uint16Array, start: number, node: number): void {
  for (let at = start; at < start + FORMER_OWNERS; at++) {
    if (former[at] === node) return;
    if (former[at] !== 0) continue;
    former[at] = node;
    return;
  }
}

/** Chains after `owners` replaced those of `before`, the same array where they do not change; `reachable` is indexed by node id. */
export function chainsAfter(
  before: Ownership,
  owners: Uint16Array,
  reachable: Uint8Array,
): Uint16Array {
  const former = new Uint16Array(owners.length * FORMER_OWNERS);
  let isSame = true;
  for (let slot = 0; slot < owners.length; slot++) {
    const owner = owners[slot];
    const old = before.owners[slot] ?? 0;
    const start = slot * FORMER_OWNERS;
    if (before.former[start] === 0) {
      // the usual case, short: there may be 65 536 of them
      if (old === owner || old === 0 || reachable[old] !== 1) continue;
      former[start] = old;
      isSame = false;
      continue;
    }
    for (let k = -1; k < FORMER_OWNERS; k++) {
      const node = k === -1 ? old : (before.former[start + k] ?? 0);
      if (node !== 0 && node !== owner && reachable[node] === 1) append(former, start, node);
    }
    for (let at = start; at < start + FORMER_OWNERS; at++) {
      if (former[at] !== before.former[at]) isSame = false;
    }
  }
  return isSame ? before.former : former;
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
    for (const node of candidates) {
      if (node !== 0 && node !== owner) append(former, slot * FORMER_OWNERS, node);
    }
  }
  return { owners, former };
}
