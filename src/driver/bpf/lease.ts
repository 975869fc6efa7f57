// Three rights that are points in time in the packet program's state map: to answer for the VIPs (docs/adr/0003), and to take
// frames that came to a cluster MAC, where every member sees them (docs/adr/0008), after which the
// program drops such frames; and for sessions to speak (docs/adr/0029), which the session program looks at.
// Renewed from the heart thread, which maps the state by its file descriptor number (a descriptor belongs to the process, a
// mapping of koffi to the thread that made it).
import { Mapping } from "../libc.ts";
import { STATE } from "./abi.gen.ts";

class Lease {
  readonly #mapping: Mapping;
  readonly #until: BigUint64Array;
  /** The whole state. */
  protected readonly words: Uint32Array;

  constructor(stateFd: number, offset: number) {
    this.#mapping = new Mapping(stateFd, STATE.size);
    const { buffer, byteOffset } = this.#mapping.bytes;
    this.#until = new BigUint64Array(buffer, byteOffset + offset, 1);
    this.words = new Uint32Array(buffer, byteOffset, STATE.size / 4);
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

export class AnswerLease extends Lease {
  /** @param stateFd Datapath.stateFd of the same process; the Datapath must stay open */
  constructor(stateFd: number) {
    super(stateFd, STATE.leaseUntilNs);
  }
}

export class AcceptLease extends Lease {
  /** @param stateFd as of AnswerLease */
  constructor(stateFd: number) {
    super(stateFd, STATE.acceptUntilNs);
  }
}

export class SpeakLease extends Lease {
  /** @param stateFd as of AnswerLease */
  constructor(stateFd: number) {
    super(stateFd, STATE.speakUntilNs);
  }

  /** From now on only whoever knows of this tenure speaks. It outlives the agent. */
  beginTenure(): void {
    Atomics.add(this.words, STATE.tenure / 4, 1);
  }

  get tenure(): number {
    return Atomics.load(this.words, STATE.tenure / 4);
  }
}
