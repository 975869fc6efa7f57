// The maps that are plain shared memory: state, slots, former owners, nodes. Written in place, in units that the
// program reads whole (a slot 16 bits, a MAC 64).
import { macBytes } from "#base/address.ts";
import { clusterMac, DELIVERY_METHODS, FLOODED_METHODS, type HashKind } from "#base/delivery.ts";
import { MAX_NODE_ID, NO_TABLES, type NodeId, type TableVersion } from "#base/ids.ts";
import type { Delivery } from "#core/steering/tables.ts";
import { Mapping } from "../libc.ts";
import {
  FORMER,
  LINKS,
  HASH_KEYED,
  HASH_XOR,
  NODE,
  NODE_TUNNELLED_SHIFT,
  NODES,
  REVISION,
  STATE,
} from "./abi.gen.ts";

const TUNNELLED = 1n << BigInt(NODE_TUNNELLED_SHIFT);

/** A MAC as the packet program keeps it: its six bytes as a little-endian number. */
export const macNumber = (mac: Uint8Array): bigint =>
  mac.reduce((value, byte, index) => value | (BigInt(byte) << BigInt(8 * index)), 0n);

/** Buckets of a map; how many is a power of two. */
export interface BucketRange {
  readonly first: number;
  readonly count: number;
}

/** Map .data.state: hash key, version of the tables, leases, and what must outlive the agent. */
export class StateMap {
  readonly #mapping: Mapping;
  readonly #u32: Uint32Array;
  readonly #u64: BigUint64Array;

  constructor(fd: number) {
    this.#mapping = new Mapping(fd, STATE.size);
    const { buffer, byteOffset } = this.#mapping.bytes;
    this.#u32 = new Uint32Array(buffer, byteOffset, STATE.size / 4);
    this.#u64 = new BigUint64Array(buffer, byteOffset, STATE.size / 8);
  }

  get revision(): number {
    return this.#u32[STATE.revision / 4] ?? 0;
  }

  markRevision(): void {
    this.#u32[STATE.revision / 4] = REVISION;
  }

  /** Interfaces whose clsact qdisc an agent made. */
  get clsactLinks(): number[] {
    const first = STATE.clsactLinks / 4;
    return [...this.#u32.subarray(first, first + LINKS)].filter((link) => link !== 0);
  }

  /** Beyond LINKS they are not remembered: then an empty qdisc stays behind. */
  set clsactLinks(links: readonly number[]) {
    for (let index = 0; index < LINKS; index++) {
      this.#u32[STATE.clsactLinks / 4 + index] = links[index] ?? 0;
    }
  }

  get version(): TableVersion {
    const epoch = Number(this.#u64[STATE.epoch / 8] ?? 0n);
    if (epoch === 0) return NO_TABLES;
    const counter = Number(this.#u64[STATE.versionCounter / 8] ?? 0n);
    return { epoch, counter, master: (this.#u32[STATE.master / 4] ?? 0) as NodeId };
  }

  /** Whoever dies half-way leaves epoch 0, which is older than everything. */
  set version({ epoch, counter, master }: TableVersion) {
    const at = STATE.epoch / 8;
    Atomics.store(this.#u64, at, 0n);
    Atomics.store(this.#u64, STATE.versionCounter / 8, BigInt(counter));
    Atomics.store(this.#u32, STATE.master / 4, master);
    Atomics.store(this.#u64, at, BigInt(epoch));
  }

  setHash(kind: HashKind, [k0, k1]: readonly [number, number]): void {
    const key = BigInt(k0 >>> 0) | (BigInt(k1 >>> 0) << 32n);
    Atomics.store(this.#u64, STATE.hashKey / 8, key);
    Atomics.store(this.#u32, STATE.hashKind / 4, kind === "xor" ? HASH_XOR : HASH_KEYED);
  }

  /** The cluster MACs are listened to before clients are told of one. */
  set delivery({ method, primary }: Delivery) {
    for (const [index, flooded] of FLOODED_METHODS.entries()) {
      const mac = primary === undefined ? 0n : macNumber(macBytes(clusterMac(flooded, primary)));
      Atomics.store(this.#u64, STATE.clusterMac / 8 + index, mac);
    }
    Atomics.store(this.#u32, STATE.method / 4, DELIVERY_METHODS.indexOf(method));
  }

  /** The part of map exceptions that the packet program looks at. */
  get exceptions(): BucketRange {
    const both = this.#u64[STATE.exceptions / 8] ?? 0n;
    return { first: Number(both >> 32n), count: Number(both & 0xffff_ffffn) + 1 };
  }

  set exceptions({ first, count }: BucketRange) {
    const both = (BigInt(first) << 32n) | BigInt(count - 1);
    Atomics.store(this.#u64, STATE.exceptions / 8, both);
  }

  /** struct service of the routed group as a number; 0: there is none. */
  get routed(): bigint {
    return this.#u64[STATE.routed / 8] ?? 0n;
  }

  set routed(service: bigint) {
    Atomics.store(this.#u64, STATE.routed / 8, service);
  }

  /** Table 3 is only looked up while this is set. */
  set tableVipUsed(used: boolean) {
    Atomics.store(this.#u32, STATE.tableVipUsed / 4, used ? 1 : 0);
  }

  /** Table 2 is only looked up while this is set. */
  set tableAnyUsed(used: boolean) {
    Atomics.store(this.#u32, STATE.tableAnyUsed / 4, used ? 1 : 0);
  }

  /** Map slot_counters is only kept while this is set. */
  set slotsMeasured(measured: boolean) {
    Atomics.store(this.#u32, STATE.slotsMeasured / 4, measured ? 1 : 0);
  }

  /** Map services4 is only looked at while this is set. */
  set services4Used(used: boolean) {
    Atomics.store(this.#u32, STATE.services4Used / 4, used ? 1 : 0);
  }

  /** Map services6 likewise. */
  set services6Used(used: boolean) {
    Atomics.store(this.#u32, STATE.services6Used / 4, used ? 1 : 0);
  }

  /** Four bytes; all 0: no encapsulated packets are taken. */
  set tunnelAddress(address: Uint8Array) {
    this.#mapping.bytes.set(address, STATE.tunnelAddress);
  }

  /** What servers here tell clients to send at most, in bytes of a packet; 0: what they please. */
  set longestPacket(bytes: number) {
    Atomics.store(this.#u32, STATE.longestPacket / 4, bytes);
  }

  close(): void {
    this.#mapping.unmap();
  }
}

/** Maps slots and former_owners as flat arrays of 16-bit values. */
export class SlotMaps {
  readonly #slots: Mapping;
  readonly #former: Mapping;
  readonly owners: Uint16Array;
  /** FORMER.size / 2 values for each slot. */
  readonly former: Uint16Array;

  constructor(slotsFd: number, formerFd: number, capacity: number) {
    this.#slots = new Mapping(slotsFd, capacity * 2);
    this.#former = new Mapping(formerFd, capacity * FORMER.size);
    this.owners = new Uint16Array(this.#slots.bytes.buffer, this.#slots.bytes.byteOffset, capacity);
    this.former = new Uint16Array(
      this.#former.bytes.buffer,
      this.#former.bytes.byteOffset,
      capacity * (FORMER.size / 2),
    );
  }

  close(): void {
    this.#slots.unmap();
    this.#former.unmap();
  }
}

/** Map nodes: the MAC of each node id, 0 where there is none; and which ones are beyond this segment (docs/adr/0022). */
export class NodeMap {
  readonly #mapping: Mapping;
  readonly #macs: BigUint64Array;
  #tunnelled: ReadonlySet<number>;

  constructor(fd: number) {
    this.#mapping = new Mapping(fd, NODES * NODE.size);
    this.#macs = new BigUint64Array(
      this.#mapping.bytes.buffer,
      this.#mapping.bytes.byteOffset,
      NODES,
    );
    const marked = [...this.#macs].flatMap((mac, id) => ((mac & TUNNELLED) === 0n ? [] : [id]));
    this.#tunnelled = new Set(marked);
  }

  /** As of the maps that an earlier agent has left, until it is set. */
  set tunnelled(ids: ReadonlySet<number>) {
    const changed = [...this.#tunnelled, ...ids].filter(
      (id) => this.#tunnelled.has(id) !== ids.has(id),
    );
    this.#tunnelled = ids;
    for (const id of changed) {
      const mac = this.#macs[id] ?? 0n;
      if (mac !== 0n) Atomics.store(this.#macs, id, mac ^ TUNNELLED);
    }
  }

  /** Answers whether it was another one before. */
  set(id: NodeId, mac: Uint8Array): boolean {
    const value = macNumber(mac) | (this.#tunnelled.has(id) ? TUNNELLED : 0n);
    if (this.#macs[id] === value) return false;
    Atomics.store(this.#macs, id, value);
    return true;
  }

  /** Forgets every node that is not listed; answers how many there were. */
  keepOnly(ids: ReadonlySet<number>): number {
    let forgotten = 0;
    for (let id = 1; id <= MAX_NODE_ID; id++) {
      if (this.#macs[id] === 0n || ids.has(id)) continue;
      Atomics.store(this.#macs, id, 0n);
      forgotten++;
    }
    return forgotten;
  }

  close(): void {
    this.#mapping.unmap();
  }
}
