// The maps that are plain shared memory: state, slots, former owners, nodes. Written in place, in units that the
// program reads whole (a slot 16 bits, a MAC 64).
import { MAX_NODE_ID, NO_TABLES, type NodeId, type TableVersion } from "#base/ids.ts";
import { Mapping } from "../libc.ts";
import { FORMER, NODE, NODES, REVISION, STATE } from "./abi.gen.ts";

/** Map .data.state: hash key, version of the tables, and what must outlive the agent. */
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

  get ownsClsact(): boolean {
    return this.#u32[STATE.ownsClsact / 4] === 1;
  }

  markRevision(ownsClsact: boolean): void {
    this.#u32[STATE.ownsClsact / 4] = ownsClsact ? 1 : 0;
    this.#u32[STATE.revision / 4] = REVISION;
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

  set hashKey([k0, k1]: readonly [number, number]) {
    const key = BigInt(k0 >>> 0) | (BigInt(k1 >>> 0) << 32n);
    Atomics.store(this.#u64, STATE.hashKey / 8, key);
  }

  /** Table 2 is only looked up while this is set. */
  set tableAnyUsed(used: boolean) {
    Atomics.store(this.#u32, STATE.tableAnyUsed / 4, used ? 1 : 0);
  }

  /** Map services4 is only looked at while this is set. */
  set bucketsOverflow(used: boolean) {
    Atomics.store(this.#u32, STATE.bucketsOverflow / 4, used ? 1 : 0);
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

/** Map nodes: the MAC of each node id, 0 where there is none. */
export class NodeMap {
  readonly #mapping: Mapping;
  readonly #macs: BigUint64Array;

  constructor(fd: number) {
    this.#mapping = new Mapping(fd, NODES * NODE.size);
    this.#macs = new BigUint64Array(
      this.#mapping.bytes.buffer,
      this.#mapping.bytes.byteOffset,
      NODES,
    );
  }

  /** Answers whether it was another one before. */
  set(id: NodeId, mac: Uint8Array): boolean {
    let value = 0n;
    mac.forEach((byte, index) => {
      value |= BigInt(byte) << BigInt(8 * index);
    });
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
