// Packet and byte rates out of the data plane's totals, for `pan status` and for balancing.
import type { NodeId } from "#base/ids.ts";
import { elapsedMs, type Instant } from "#base/time.ts";
import type { Count, Counters } from "#driver/bpf/types.ts";

export interface Rate {
  readonly packetsPerSecond: number;
  readonly bytesPerSecond: number;
}

const STILL: Rate = { packetsPerSecond: 0, bytesPerSecond: 0 };

const NOTHING: Count = { packets: 0, bytes: 0 };

function takenOf({ reasons }: Counters): Count {
  const [own, ownerless] = [reasons["pass-local"], reasons["pass-no-owner"]];
  return {
    packets: own.packets + ownerless.packets,
    bytes: own.bytes + ownerless.bytes,
  };
}

interface Sample {
  readonly at: Instant;
  readonly counters: Counters;
}

/** Keeps the last two samples. Rates are over the time between them. */
export class Traffic {
  #earlier: Sample | undefined;
  #later: Sample | undefined;
  #totals: Counters | undefined;

  sample(now: Instant, counters: Counters): void {
    this.#earlier = this.#later;
    this.#later = { at: now, counters };
    this.#totals = counters;
  }

  /** Newer totals for the sample in hand; rates stay over the last full period. */
  refresh(counters: Counters): void {
    this.#totals = counters;
  }

  /** The newest totals. */
  get counters(): Counters | undefined {
    return this.#totals;
  }

  ofNode(id: NodeId): Rate {
    return this.#rate((counters) => counters.nodes.get(id));
  }

  /** What the packet program has given to this machine: of its own slots, and of those without an owner. */
  get taken(): Count {
    return this.#totals === undefined ? NOTHING : takenOf(this.#totals);
  }

  get rateTaken(): Rate {
    return this.#rate(takenOf);
  }

  ofGroup(name: string): Rate {
    return this.#rate((counters) => counters.groups.get(name));
  }

  #rate(select: (counters: Counters) => Count | undefined): Rate {
    if (this.#earlier === undefined || this.#later === undefined) return STILL;
    const seconds = elapsedMs(this.#earlier.at, this.#later.at) / 1000;
    const before = select(this.#earlier.counters);
    const now = select(this.#later.counters);
    if (now === undefined || seconds <= 0) return STILL;
    // Totals start again when the maps were made anew; a rate is never negative.
    const per = (after: number, earlier: number): number => Math.max(0, after - earlier) / seconds;
    return {
      packetsPerSecond: per(now.packets, before?.packets ?? 0),
      bytesPerSecond: per(now.bytes, before?.bytes ?? 0),
    };
  }
}
