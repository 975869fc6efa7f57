// The right to answer for the VIPs (docs/adr/0003): a point in time in the packet program's state map, after
// which the program drops questions for them. Renewed from the heart thread, which maps the state by its
// file descriptor number (a descriptor belongs to the process, a mapping of koffi to the thread that made it).
import { Mapping } from "../libc.ts";
import { STATE } from "./abi.gen.ts";

export class AnswerLease {
  readonly #mapping: Mapping;
  readonly #until: BigUint64Array;

  /** @param stateFd Datapath.stateFd of the same process; the Datapath must stay open */
  constructor(stateFd: number) {
    this.#mapping = new Mapping(stateFd, STATE.size);
    this.#until = new BigUint64Array(
      this.#mapping.bytes.buffer,
      this.#mapping.bytes.byteOffset + STATE.leaseUntilNs,
      1,
    );
  }

  /** @param untilNs CLOCK_MONOTONIC in nanoseconds (process.hrtime.bigint()); 0n: give the right up at once */
  renew(untilNs: bigint): void {
    Atomics.store(this.#until, 0, untilNs);
  }

  /** When the right ends or ended, CLOCK_MONOTONIC in nanoseconds. */
  get untilNs(): bigint {
    return Atomics.load(this.#until, 0);
  }

  /** Does not give the lease up: it runs out by itself. */
  close(): void {
    this.#mapping.unmap();
  }
}
