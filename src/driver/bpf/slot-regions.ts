// Where in the one array of slots each group has its own: first fit, and a group that is there already stays where it
// is, so that a change of tables writes only the slots that changed.

export interface Region {
  /** First slot; a multiple of the granularity. */
  readonly base: number;
  readonly slots: number;
}

/** A set of regions that do not overlap, within a capacity. */
export class SlotRegions {
  readonly #capacity: number;
  readonly #granularity: number;
  /** Sorted by base. */
  readonly #taken: Region[] = [];

  constructor(capacity: number, granularity: number) {
    this.#capacity = capacity;
    this.#granularity = granularity;
  }

  /** Marks a region as used. False: it overlaps one that is. */
  take(region: Region): boolean {
    const at = this.#taken.findIndex(({ base }) => base >= region.base);
    const index = at < 0 ? this.#taken.length : at;
    const before = this.#taken[index - 1];
    const next = this.#taken[index];
    const end = region.base + this.#size(region.slots);
    if (before !== undefined && before.base + this.#size(before.slots) > region.base) return false;
    if (end > this.#capacity || (next !== undefined && next.base < end)) return false;
    this.#taken.splice(index, 0, region);
    return true;
  }

  /** Finds room for a group and marks it as used. Undefined: there is none. */
  allocate(slots: number): Region | undefined {
    const size = this.#size(slots);
    let base = 0;
    for (const taken of this.#taken) {
      if (taken.base - base >= size) break;
      base = taken.base + this.#size(taken.slots);
    }
    const region = { base, slots };
    return this.take(region) ? region : undefined;
  }

  #size(slots: number): number {
    return Math.ceil(slots / this.#granularity) * this.#granularity;
  }
}
