// The packet program on a test bench: loaded but attached to nothing, run over single frames by BPF_PROG_TEST_RUN.
import type { MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { Reason } from "#core/steering/reasons.ts";
import type { Tables } from "#core/steering/tables.ts";
import {
  DECISION,
  FRAGMENT_KEY,
  REASON_NAMES,
  SERVICE,
  SERVICE4_KEY,
  STATE,
} from "#driver/bpf/abi.gen.ts";
import { AnswerLease } from "#driver/bpf/lease.ts";
import { libbpf } from "#driver/bpf/libbpf.ts";
import { LoadedObject } from "#driver/bpf/program-loader.ts";
import { constants, mapCapacities, sizesOf, tableMapFds } from "#driver/bpf/program-options.ts";
import { readHashMap } from "#driver/bpf/service-map.ts";
import { TableWriter } from "#driver/bpf/table-writer.ts";
import { testRun } from "#driver/bpf/test-run.ts";
import type { Hook } from "#driver/bpf/types.ts";
import { Mapping } from "#driver/libc.ts";

const ACTIONS: Readonly<Record<Hook, ReadonlyMap<number, string>>> = {
  xdp: new Map([
    [1, "drop"],
    [2, "pass"],
    [3, "forward"],
  ]),
  tc: new Map([
    [2, "drop"],
    [0, "pass"],
    [7, "forward"],
  ]),
};

/** No fewer than there are reasons. */
const READ_AT_ONCE = 32;

const SHORTEST_AT_TC: ReadonlyMap<number, number> = new Map([
  [0x0800, 34],
  [0x86dd, 54],
]);

export interface Leases {
  /** It is the interface node. */
  readonly leased: boolean;
  /** It may take what came to a cluster MAC. */
  readonly accepting: boolean;
}

export interface Outcome {
  readonly action: string;
  readonly reason: Reason;
  readonly frame: Uint8Array;
}

export class SteerProgram {
  readonly hook: Hook;
  readonly #object: LoadedObject;
  readonly #writer: TableWriter;
  readonly #lease: AnswerLease;
  readonly #state: Mapping;
  #published = 0;
  #counts: bigint[];

  constructor(hook: Hook, self: NodeId, mac: MacAddress, serviceCapacity = 16_384) {
    const sizes = sizesOf({
      interface: "",
      self,
      slotCapacity: 4096,
      fragmentCapacity: 65_536,
      serviceCapacity,
    });
    this.hook = hook;
    this.#object = LoadedObject.load(`steer-${hook}.o`, {
      capacities: mapCapacities(sizes),
      constants: constants({ self, mac }, sizes, false),
    });
    this.#writer = new TableWriter(tableMapFds(this.#object), sizes);
    this.#lease = new AnswerLease(this.#object.mapFd(".data.state"));
    this.#state = new Mapping(this.#object.mapFd(".data.state"), STATE.size);
    this.#counts = this.#readCounts();
  }

  /** Puts tables and leases in force and forgets fragments. */
  prepare(tables: Tables, { leased, accepting }: Leases): void {
    this.#published++;
    const version = { ...tables.version, counter: this.#published };
    this.#writer.publish({ ...tables, version }, () => {});
    const anHourOn = process.hrtime.bigint() + 3_600_000_000_000n;
    this.#lease.renew(leased ? anHourOn : 0n);
    const until = STATE.acceptUntilNs / 8;
    new BigUint64Array(this.#state.bytes.buffer, this.#state.bytes.byteOffset)[until] = accepting
      ? anHourOn
      : 0n;
    const fd = this.#object.mapFd("fragments");
    const keys = Array.from(readHashMap(fd, FRAGMENT_KEY.size, DECISION.size), ([key]) =>
      Buffer.from(key),
    );
    for (const key of keys) libbpf().deleteElem(fd, key);
  }

  /** BPF_PROG_TEST_RUN refuses frames without an Ethernet header, and at tc also those without an IP header. */
  accepts(frame: Uint8Array): boolean {
    if (this.hook === "xdp" || frame.byteLength < 14) return frame.byteLength >= 14;
    const etherType = ((frame[12] ?? 0) << 8) | (frame[13] ?? 0);
    return frame.byteLength >= (SHORTEST_AT_TC.get(etherType) ?? 14);
  }

  run(frame: Uint8Array): Outcome {
    const { returned, bytes } = testRun(this.#object.programFd(`steer_${this.hook}`), frame);
    const counts = this.#readCounts();
    const index = counts.findIndex((count, at) => count !== this.#counts[at]);
    this.#counts = counts;
    const action = ACTIONS[this.hook].get(returned) ?? `returned ${returned}`;
    // what goes to an owner is counted by node
    return { action, reason: REASON_NAMES[index] ?? "forward-owner", frame: bytes };
  }

  /** IPv4 services that found no room in the buckets. */
  get servicesApart(): number {
    const fd = this.#object.mapFd("services4");
    return [...readHashMap(fd, SERVICE4_KEY.size, SERVICE.size)].length;
  }

  close(): void {
    this.#state.unmap();
    this.#lease.close();
    this.#writer.close();
    this.#object.close();
  }

  #readCounts(): bigint[] {
    const cpus = libbpf().possibleCpus();
    const [keys, values] = [Buffer.alloc(4 * READ_AT_ONCE), Buffer.alloc(READ_AT_ONCE * cpus * 16)];
    const count = Uint32Array.of(READ_AT_ONCE);
    const fd = this.#object.mapFd("counters");
    libbpf().lookupBatch(fd, null, Buffer.alloc(8), keys, values, count, null);
    return REASON_NAMES.map((_, reason) => {
      let packets = 0n;
      for (let cpu = 0; cpu < cpus; cpu++) {
        packets += values.readBigUInt64LE((reason * cpus + cpu) * 16);
      }
      return packets;
    });
  }
}
