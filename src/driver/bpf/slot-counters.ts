// What this node has taken of each slot's packets, for balancing by measured load (A8): the packet program counts only while it
// is told to (state.slots_measured). Each counter is one number that only rises, so a reading is the difference to the last.
import { Mapping } from "../libc.ts";
import { SLOT_PACKET_SHIFT } from "./abi.gen.ts";

/** A group's slots in the kernel's maps. */
export interface GroupRegion {
  readonly name: string;
  readonly base: number;
  readonly slots: number;
}

/** By slot of the group, since the last reading. */
export interface SlotLoad {
  readonly packets: Float64Array;
  readonly bytes: Float64Array;
}

const SHIFT = BigInt(SLOT_PACKET_SHIFT);
const BYTES = (1n << SHIFT) - 1n;

export class SlotCounters {
  readonly #mapping: Mapping;
  readonly #counters: BigUint64Array;
  /** What the counters were; 0 until they are first read. */
  readonly #seen: BigUint64Array;

  /** @param capacity slots of all groups together */
  constructor(fd: number, capacity: number) {
    this.#mapping = new Mapping(fd, capacity * 8, { writable: false });
    this.#counters = this.#mapping.cells;
    this.#seen = this.#counters.slice();
  }

  /** The first reading after the maps were opened, and of a region that was another group's, starts at that moment. */
  read(regions: Iterable<GroupRegion>): Map<string, SlotLoad> {
    const loads = new Map<string, SlotLoad>();
    for (const { name, base, slots } of regions) {
      const load = { packets: new Float64Array(slots), bytes: new Float64Array(slots) };
      for (let slot = 0; slot < slots; slot++) this.#readSlot(base + slot, slot, load);
      loads.set(name, load);
    }
    return loads;
  }

  close(): void {
    this.#mapping.unmap();
  }

  #readSlot(index: number, slot: number, load: SlotLoad): void {
    const now = this.#counters[index] ?? 0n;
    const difference = BigInt.asUintN(64, now - (this.#seen[index] ?? 0n));
    if (difference === 0n) return;
    this.#seen[index] = now;
    load.packets[slot] = Number(difference >> SHIFT);
    load.bytes[slot] = Number(difference & BYTES);
  }
}
