// The measured load of a group's slots, as its owners report it (A8), smoothed. Load belongs to the slot: a slot that moves takes
// it along, so that a new owner is not taken for idle until its first report.
import { assert } from "#base/assert.ts";

/** Part of a new figure that counts; the rest is what was known. Ten seconds until a step has come through by 83 %. */
const NEWEST = 0.3;
/** Below this a slot counts as idle, so that loads come to zero. */
const SILENT = 1e-3;

/** Rate of one slot, in packets or bytes a second. */
export interface SlotRate {
  readonly slot: number;
  readonly rate: number;
}

export class LoadEstimate {
  readonly loads: Float64Array;

  constructor(slots: number) {
    assert(slots > 0, "a group has slots");
    this.loads = new Float64Array(slots);
  }

  /** What an owner measured of the slots that it owns; those that it does not name had no traffic. */
  report(owned: Iterable<number>, rates: readonly SlotRate[]): void {
    const named = new Map(rates.map(({ slot, rate }) => [slot, rate]));
    for (const slot of owned) {
      const before = this.loads[slot];
      if (before === undefined) continue;
      const load = before + NEWEST * ((named.get(slot) ?? 0) - before);
      this.loads[slot] = load < SILENT ? 0 : load;
    }
  }
}
