// Over which of its working paths a node's traffic goes (B11): a table as a PDT is one, from a slot's number to a path. A flow has one slot,
// so it stays on one path while that works. Each entry has a home among all paths, evenly; while its home does not work it is on the
// working path that comes next in an order of its own, so that what is displaced spreads evenly too, and nothing else moves.

/** Entries of the table; a power of two. As in bpf/abi.h. */
export const PATH_CHOICES = 64;
/** Most private paths of a node. As in bpf/abi.h. */
export const MAX_PATHS = 7;

/** Where no private path works: the cluster interface. */
export const NO_PATH = 0;

/** @param working numbers of the working paths, from 1; @param count of all paths */
export function spreadOver(working: ReadonlySet<number>, count: number): Uint8Array {
  return Uint8Array.from({ length: PATH_CHOICES }, (_, entry) => choose(entry, working, count));
}

/** The path on which a slot's packets go. */
export const pathOf = (spread: Uint8Array, slot: number): number =>
  spread[slot & (PATH_CHOICES - 1)] ?? NO_PATH;

function choose(entry: number, working: ReadonlySet<number>, count: number): number {
  if (count === 0) return NO_PATH;
  const home = 1 + (entry % count);
  if (working.has(home)) return home;
  let best = NO_PATH;
  let highest = -1;
  for (const path of working) {
    const rank = mix(entry, path);
    if (rank <= highest) continue;
    highest = rank;
    best = path;
  }
  return best;
}

/** An order of the paths for each entry, as if drawn. */
function mix(entry: number, path: number): number {
  let value = Math.imul(entry * MAX_PATHS + path, 0x9e3779b1);
  value ^= value >>> 15;
  value = Math.imul(value, 0x85ebca77);
  return (value ^ (value >>> 13)) >>> 0;
}
