// Maps with a number for each service group, by the index of its counter, in shared memory: how long sessions stay (udp_idle), and which
// port new connections go to (other_ports).
import { Mapping } from "../libc.ts";

export class GroupNumbers {
  readonly #mapping: Mapping;
  readonly #numbers: BigUint64Array;

  constructor(fd: number, groups: number) {
    this.#mapping = new Mapping(fd, groups * 8);
    this.#numbers = this.#mapping.cells;
  }

  set(group: number, number: bigint): void {
    if (this.#numbers[group] !== number) Atomics.store(this.#numbers, group, number);
  }

  close(): void {
    this.#mapping.unmap();
  }
}

/** A port as the packet program compares it: two bytes in network order, loaded as a little-endian number. */
export const portNumber = (port: number): bigint => BigInt(((port & 0xff) << 8) | (port >>> 8));
