// The measured load of a group's slots, as their owners report it (A8), smoothed. Load belongs to the slot: a slot that moves takes
// it along, so that a new owner is not taken for idle until its first report. While the whole group is idle, what was known
// stays: otherwise every pause would undo what the load before it had called for.
import { IDLE_LOAD } from "./measured-ownership.ts";

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
  /** Indexed by slot. */
  readonly loads: Float64Array;
  /** What was reported last. */
  readonly #rates: Float64Array;

  constructor(slots: number) {
    this.loads = new Float64Array(slots);
    this.#rates = new Float64Array(slots);
  }

  /** What an owner measured of the slots that it owns; those that it does not name had no traffic. */
  report(owns: (slot: number) => boolean, rates: readonly SlotRate[]): void {
    for (const slot of this.#rates.keys()) if (owns(slot)) this.#rates[slot] = 0;
    for (const { slot, rate } of rates) {
      if (slot < this.#rates.length && owns(slot)) this.#rates[slot] = rate;
    }
  }

  /** Once a round, after the reports. */
  fold(): void {
    if (this.#rates.reduce((sum, rate) => sum + rate, 0) < IDLE_LOAD) return;
    for (const [slot, rate] of this.#rates.entries()) {
      const before = this.loads[slot] ?? 0;
      const load = before + NEWEST * (rate - before);
      this.loads[slot] = load < SILENT ? 0 : load;
    }
  }
}
