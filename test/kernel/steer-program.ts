// The packet program on a test bench: loaded but attached to nothing, run over single frames by BPF_PROG_TEST_RUN.
import assert from "node:assert/strict";
import { ip, ipBytes, type MacAddress } from "#base/address.ts";
import { nodeId, type NodeId } from "#base/ids.ts";
import type { Reason } from "#core/steering/reasons.ts";
import { OWN4, type TestTunnel } from "#core/steering/testing/vector.ts";
import type { Tables } from "#core/steering/tables.ts";
import {
  DECISION,
  FRAGMENT_KEY,
  HELD_HEADER,
  REASON_NAMES,
  SERVICE,
  SERVICE4_KEY,
  SERVICE6_KEY,
  UDP_SESSION,
  UDP_SESSION_KEY,
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
    [4, "forward"], // by another interface
  ]),
  tc: new Map([
    [2, "drop"],
    [-1, "pass"], // TC_ACT_UNSPEC: on to the next filter
    [0xffff_ffff, "pass"],
    [7, "forward"],
  ]),
};

const PAGE = 4096;
const LOOPBACK = 1;
const RECORD_HEADER = 8;
const RING = 2 ** 26;
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

/** A record of the ring buffer of frames that wait. */
export interface HeldRecord {
  readonly reason: Reason;
  readonly slot: number;
  readonly group: number;
  readonly frame: Uint8Array;
}

export interface Outcome {
  readonly action: string;
  readonly reason: Reason;
  readonly frame: Uint8Array;
  /** Of a frame that waits, or whose sender is to be told. */
  readonly held?: HeldRecord;
}

/** Writer's position and records; what is read is not given back, the ring is large enough for a test. */
class HeldRing {
  readonly #mapping: Mapping;
  #at = 0;

  constructor(fd: number) {
    this.#mapping = new Mapping(fd, PAGE + RING, { writable: false, offset: PAGE });
  }

  /** The next record; undefined when there is none, and an error when there are more. */
  next(): HeldRecord | undefined {
    const { bytes } = this.#mapping;
    const view = new DataView(bytes.buffer, bytes.byteOffset);
    const end = Number(view.getBigUint64(0, true));
    if (end === this.#at) return undefined;
    const length = view.getUint32(PAGE + this.#at, true);
    const record = PAGE + this.#at + RECORD_HEADER;
    this.#at += (length + RECORD_HEADER + 7) & ~7;
    if (this.#at !== end) throw new RangeError("more than one frame waits after one frame");
    const frame = record + HELD_HEADER.size;
    return {
      reason: REASON_NAMES[bytes[record + HELD_HEADER.reason] ?? 255] ?? "pass-not-ip",
      slot: view.getUint32(record + HELD_HEADER.slot, true),
      group: view.getUint32(record + HELD_HEADER.group, true),
      frame: bytes.slice(frame, frame + view.getUint32(record + HELD_HEADER.length, true)),
    };
  }

  close(): void {
    this.#mapping.unmap();
  }
}

export class SteerProgram {
  readonly hook: Hook;
  readonly #object: LoadedObject;
  readonly #writer: TableWriter;
  readonly #lease: AnswerLease;
  readonly #state: Mapping;
  readonly #held: HeldRing;
  #published = 0;
  #counts: bigint[];

  constructor(
    hook: Hook,
    self: NodeId,
    mac: MacAddress,
    { serviceCapacity = 16_384, peering = false } = {},
  ) {
    const sizes = sizesOf({
      interface: "",
      self,
      slotCapacity: 4096,
      fragmentCapacity: 65_536,
      sessionCapacity: 65_536,
      // nobody takes frames out of it here
      heldCapacity: RING,
      serviceCapacity,
    });
    this.hook = hook;
    this.#object = LoadedObject.load(`steer-${hook}.o`, {
      capacities: mapCapacities(sizes),
      constants: constants({ self, mac, peering }, sizes, false),
    });
    this.#writer = new TableWriter(tableMapFds(this.#object), sizes);
    this.#lease = new AnswerLease(this.#object.mapFd(".data.state"));
    this.#state = new Mapping(this.#object.mapFd(".data.state"), STATE.size);
    this.#held = new HeldRing(this.#object.mapFd("held"));
    this.#counts = this.#readCounts();
  }

  /** Puts tables, tunnels and leases in force and forgets fragments and sessions. */
  prepare(
    tables: Tables,
    { leased, accepting, tunnels = [] }: Leases & { readonly tunnels?: readonly TestTunnel[] },
  ): void {
    this.#published++;
    const to = tunnels.map((tunnel) => ({ ...tunnel, node: nodeId(tunnel.node), link: LOOPBACK }));
    this.#writer.tunnels.set(to, ipBytes(ip(OWN4)));
    const version = { ...tables.version, epoch: this.#published };
    this.#writer.publish({ ...tables, version }, () => {});
    const anHourOn = process.hrtime.bigint() + 3_600_000_000_000n;
    this.#lease.renew(leased ? anHourOn : 0n);
    const until = STATE.acceptUntilNs / 8;
    new BigUint64Array(this.#state.bytes.buffer, this.#state.bytes.byteOffset)[until] = accepting
      ? anHourOn
      : 0n;
    this.#empty("fragments", FRAGMENT_KEY.size, DECISION.size);
    this.#empty("udp_sessions", UDP_SESSION_KEY.size, UDP_SESSION.size);
  }

  #empty(map: string, keySize: number, valueSize: number): void {
    const fd = this.#object.mapFd(map);
    const keys = Array.from(readHashMap(fd, keySize, valueSize), ([key]) => Buffer.from(key));
    for (const key of keys) libbpf().deleteElem(fd, key);
  }

  /** With peering: addresses of the node itself, as 16 bytes each. */
  own(addresses: readonly Uint8Array[]): void {
    const fd = this.#object.mapFd("own_addresses");
    for (const address of addresses) libbpf().updateElem(fd, address, new Uint8Array(8), 0);
  }

  /** Writes these tables as an agent does that is killed when the first group without a counter has its turn. */
  interrupt(tables: Tables): void {
    const version = { ...tables.version, epoch: this.#published + 1 };
    const killed = new Error("killed");
    assert.throws(
      () =>
        this.#writer.publish({ ...tables, version }, () => {
          throw killed;
        }),
      killed,
    );
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
    // what goes to an owner is counted by node
    const reason = REASON_NAMES[index] ?? "forward-owner";
    const action = ACTIONS[this.hook].get(returned) ?? `returned ${returned}`;
    const held = this.#held.next();
    if (held === undefined || action !== "drop") return { action, reason, frame: bytes };
    if (reason === "drop-too-big") return { action, reason, frame: bytes, held };
    // to the kernel, a frame that waits is dropped
    return { action: "hold", reason, frame: bytes, held };
  }

  /** Services that found no room in the buckets. */
  get servicesApart(): number {
    const sizes = { services4: SERVICE4_KEY.size, services6: SERVICE6_KEY.size };
    return Object.entries(sizes).reduce(
      (sum, [map, keySize]) =>
        sum + [...readHashMap(this.#object.mapFd(map), keySize, SERVICE.size)].length,
      0,
    );
  }

  close(): void {
    this.#held.close();
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
