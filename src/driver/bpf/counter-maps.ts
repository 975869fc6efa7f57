// Reads and clears the program's counters: one value per CPU in the kernel, their sum here.
import type { NodeId } from "#base/ids.ts";
import type { Reason } from "#core/steering/reasons.ts";
import { COUNTER, REASON_NAMES } from "./abi.gen.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import type { Count, Counters } from "./types.ts";

const BATCH = 256;
const ENOENT = 2;

export interface CounterFds {
  readonly counters: number;
  readonly nodeCounters: number;
  readonly groupCounters: number;
}

function sum(values: Buffer, at: number, cpus: number): Count {
  let [packets, bytes] = [0n, 0n];
  for (let cpu = 0; cpu < cpus; cpu++) {
    const value = at + cpu * COUNTER.size;
    packets += values.readBigUInt64LE(value + COUNTER.packets);
    bytes += values.readBigUInt64LE(value + COUNTER.bytes);
  }
  return { packets: Number(packets), bytes: Number(bytes) };
}

export class CounterMaps {
  readonly #fds: CounterFds;
  readonly #cpus: number;

  constructor(fds: CounterFds) {
    this.#fds = fds;
    this.#cpus = bpfCheck(libbpf().possibleCpus(), "count the CPUs");
  }

  read(groupNames: ReadonlyMap<number, string>): Counters {
    const reasons = Object.fromEntries(
      REASON_NAMES.map((name) => [name, { packets: 0, bytes: 0 }]),
    ) as Record<Reason, Count>;
    for (const [index, count] of this.#nonZero(this.#fds.counters)) {
      const name = REASON_NAMES[index];
      if (name !== undefined) reasons[name] = count;
    }
    // the program counts a forwarded frame once, by its node
    const nodes = new Map(
      Array.from(this.#nonZero(this.#fds.nodeCounters), ([id, count]) => [id as NodeId, count]),
    );
    const forwarded = { packets: 0, bytes: 0 };
    for (const count of nodes.values()) {
      forwarded.packets += count.packets;
      forwarded.bytes += count.bytes;
    }
    reasons["forward-owner"] = forwarded;
    const groups = new Map<string, Count>();
    for (const [index, count] of this.#nonZero(this.#fds.groupCounters)) {
      const name = groupNames.get(index);
      if (name !== undefined) groups.set(name, count);
    }
    return { reasons, nodes, groups };
  }

  resetGroup(index: number): void {
    const key = new Uint8Array(Uint32Array.of(index).buffer);
    const zero = new Uint8Array(this.#cpus * COUNTER.size);
    const result = libbpf().updateElem(this.#fds.groupCounters, key, zero, 0);
    bpfCheck(result, "clear the counter of a group");
  }

  *#nonZero(fd: number): Generator<[number, Count]> {
    const stride = this.#cpus * COUNTER.size;
    const [keys, values] = [Buffer.alloc(BATCH * 4), Buffer.alloc(BATCH * stride)];
    let from: Buffer | null = null;
    for (;;) {
      const next = Buffer.alloc(8);
      const count = Uint32Array.of(BATCH);
      const result = libbpf().lookupBatch(fd, from, next, keys, values, count, null);
      if (result !== -ENOENT) bpfCheck(result, "read counters");
      for (let i = 0; i < (count[0] ?? 0); i++) {
        const total = sum(values, i * stride, this.#cpus);
        if (total.packets > 0) yield [keys.readUInt32LE(i * 4), total];
      }
      if (result === -ENOENT) return;
      from = next;
    }
  }
}
