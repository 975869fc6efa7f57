// What clients ask of a group that is balanced by measured load (A8): a rate for each slot, a few of them heavy, which is another one
// every now and then. Members see it with the noise that counting has.
import type { Prng } from "#base/prng.ts";
import type { GroupTable } from "#core/steering/tables.ts";
import type { SlotRate } from "#wire/control/slot-report.ts";

/** Packets a second of the heaviest slot; the n-th has a part of it. */
const HEAVIEST = 40_000;
/** Counting two seconds of traffic is off by so much. */
const NOISE = 0.02;

export class ShiftingLoad {
  readonly group: string;
  readonly #prng: Prng;
  /** Indexed by slot. */
  rates: Float64Array;

  constructor(group: string, slots: number, prng: Prng) {
    this.group = group;
    this.#prng = prng;
    this.rates = new Float64Array(slots);
    this.shift();
  }

  /** Zipf's law over the slots, in another order each time, and steeper or flatter. */
  shift(): void {
    const steepness = this.#prng.pick([0, 0.3, 0.6, 0.9]);
    const order = this.#prng.shuffle([...this.rates.keys()]);
    for (const [rank, slot] of order.entries()) {
      this.rates[slot] = HEAVIEST / (rank + 1) ** steepness;
    }
  }

  /** What the owner of these slots measures. */
  measuredBy(id: number, { name, owners }: GroupTable): SlotRate[] {
    if (name !== this.group) return [];
    const measured: SlotRate[] = [];
    for (const [slot, owner] of owners.entries()) {
      if (owner !== id) continue;
      const noise = 1 + NOISE * (this.#prng.uint32() / 2 ** 31 - 1);
      const rate = Math.round((this.rates[slot] ?? 0) * noise);
      if (rate > 0) measured.push({ slot, rate });
    }
    return measured;
  }
}
