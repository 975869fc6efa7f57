// The services (tables 1, 2 and 3 of B2) and the routed group in the kernel's maps, as the agent knows them: a copy is kept, so that only
// differences are written; after a restart it is read back from the kernel. They lie in buckets of a cache line each; those that
// find no room there are in hash maps, one for each family.
import { ipBytes } from "#base/address.ts";
import type { GroupTable, ServiceKey } from "#core/steering/tables.ts";
import { Mapping } from "../libc.ts";
import {
  SERVICE,
  SERVICE4_KEY,
  SERVICE6_KEY,
  SERVICE_HOLDS,
  SERVICE_QUIC,
  SERVICE_ROUTED,
  SERVICE_SESSIONS,
  SERVICE_STICKY,
  SERVICE_SYMMETRIC,
  TABLE_ANY,
  TABLE_IPV6,
  TABLE_PORT,
  TABLE_VIP,
} from "./abi.gen.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import {
  bucketCount,
  type BucketEntry,
  foldAddress,
  type Halves,
  NO_ADDRESS,
  type Place,
  ServiceBuckets,
} from "./service-buckets.ts";
import type { StateMap } from "./shared-maps.ts";

const PROTOCOL_NUMBERS = { tcp: 6, udp: 17, any: 0 } as const;
const BATCH = 1024;
const ENOENT = 2;

/** Value of a service: where its group has its slots. */
export interface ServiceEntry {
  readonly base: number;
  readonly slots: number;
  readonly group: number;
  /** SERVICE_STICKY and so on. */
  readonly flags: number;
}

/** Under which the routed group is among the services. It has no key in the kernel: there is one at most. */
export const ROUTED_KEY = "routed";

/** What the packet program must know of a group's way to deal with packets. */
export function serviceFlags({ policy, holds, udpIdleMs }: GroupTable): number {
  const sticky = policy === "sticky" || policy === "wildcard-sticky" ? SERVICE_STICKY : 0;
  const symmetric = policy === "routed-symmetric" ? SERVICE_SYMMETRIC : 0;
  const routed = policy === "routed" || symmetric !== 0 ? SERVICE_ROUTED : 0;
  const sessions = udpIdleMs > 0 && routed === 0 ? SERVICE_SESSIONS : 0;
  const quic = policy === "quic" ? SERVICE_QUIC : 0;
  return sticky | routed | symmetric | sessions | quic | (holds ? SERVICE_HOLDS : 0);
}

function tableOf({ protocol, port }: ServiceKey): number {
  if (protocol === "any") return TABLE_VIP;
  return port === "any" ? TABLE_ANY : TABLE_PORT;
}

/** The kernel's key of a service, as a string of one character per byte. */
export function serviceKeyText(service: ServiceKey): string {
  const { protocol, vip, port } = service;
  const address = ipBytes(vip);
  const layout = address.byteLength === 4 ? SERVICE4_KEY : SERVICE6_KEY;
  const key = Buffer.alloc(layout.size);
  key.set(address, layout.vip);
  if (port !== "any") key.writeUInt16BE(port, layout.port);
  key[layout.protocol] = PROTOCOL_NUMBERS[protocol];
  key[layout.table] = tableOf(service);
  return key.toString("latin1");
}

/** Which of the three tables a key is in; undefined for the routed group. */
export function tableOfKey(keyText: string): number | undefined {
  if (keyText === ROUTED_KEY) return undefined;
  return keyText.charCodeAt(isIpv4(keyText) ? SERVICE4_KEY.table : SERVICE6_KEY.table);
}

const sameEntry = (a: ServiceEntry | undefined, b: ServiceEntry): boolean =>
  a !== undefined &&
  a.base === b.base &&
  a.slots === b.slots &&
  a.group === b.group &&
  a.flags === b.flags;

function encodeEntry(entry: ServiceEntry): Buffer {
  const value = Buffer.alloc(SERVICE.size);
  value.writeUInt32LE(entry.base, SERVICE.base);
  value.writeUInt16LE(entry.group, SERVICE.group);
  value[SERVICE.slotBits] = Math.log2(entry.slots);
  value[SERVICE.flags] = entry.flags;
  return value;
}

function decodeEntry(value: Buffer): ServiceEntry {
  return {
    base: value.readUInt32LE(SERVICE.base),
    slots: 2 ** (value[SERVICE.slotBits] ?? 0),
    group: value.readUInt16LE(SERVICE.group),
    flags: value[SERVICE.flags] ?? 0,
  };
}

/** All entries of a hash map, in batches: key and value of each. */
export function* readHashMap(
  fd: number,
  keySize: number,
  valueSize: number,
): Generator<[Buffer, Buffer]> {
  const bpf = libbpf();
  const [keys, values] = [Buffer.alloc(BATCH * keySize), Buffer.alloc(BATCH * valueSize)];
  let from: Buffer | null = null;
  for (;;) {
    // the position is opaque: four bytes for hash maps, as large as a key for others
    const next = Buffer.alloc(Math.max(keySize, 8));
    const count = Uint32Array.of(BATCH);
    const result = bpf.lookupBatch(fd, from, next, keys, values, count, null);
    if (result !== -ENOENT) bpfCheck(result, "read back a map");
    for (let i = 0; i < (count[0] ?? 0); i++) {
      yield [
        keys.subarray(i * keySize, (i + 1) * keySize),
        values.subarray(i * valueSize, (i + 1) * valueSize),
      ];
    }
    if (result === -ENOENT) return;
    from = next;
  }
}

export interface ServiceMapFds {
  readonly serviceBuckets: number;
  readonly bucketVips: number;
  readonly services4: number;
  readonly services6: number;
}

const isIpv4 = (keyText: string): boolean => keyText.length === SERVICE4_KEY.size;
/** Eight bytes as they lie in memory, as a number. */
const toNumber = (bytes: Buffer): bigint => bytes.readBigUInt64LE(0);

function toBytes(number: bigint): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.writeBigUInt64LE(number);
  return bytes;
}

/** Where a service is looked for in the buckets. */
function placeOf(keyText: string): Place {
  const whole = Buffer.from(keyText, "latin1");
  if (isIpv4(keyText)) return { key: toNumber(whole), address: NO_ADDRESS };
  const address: Halves = [whole.readBigUInt64LE(0), whole.readBigUInt64LE(8)];
  const key = Buffer.alloc(SERVICE4_KEY.size);
  key.writeUInt32LE(foldAddress(address), SERVICE4_KEY.vip);
  whole.copy(key, SERVICE4_KEY.port, SERVICE6_KEY.port, SERVICE6_KEY.port + 2);
  key[SERVICE4_KEY.protocol] = whole[SERVICE6_KEY.protocol] ?? 0;
  key[SERVICE4_KEY.table] = (whole[SERVICE6_KEY.table] ?? 0) | TABLE_IPV6;
  return { key: toNumber(key), address };
}

/** The reverse. */
function keyTextOf({ key: number, address }: BucketEntry): string {
  const key = toBytes(number);
  const table = key[SERVICE4_KEY.table] ?? 0;
  if ((table & TABLE_IPV6) === 0) return key.toString("latin1");
  const whole = Buffer.alloc(SERVICE6_KEY.size);
  for (const [half, value] of address.entries()) whole.writeBigUInt64LE(value, half * 8);
  key.copy(whole, SERVICE6_KEY.port, SERVICE4_KEY.port, SERVICE4_KEY.port + 2);
  whole[SERVICE6_KEY.protocol] = key[SERVICE4_KEY.protocol] ?? 0;
  whole[SERVICE6_KEY.table] = table & ~TABLE_IPV6;
  return whole.toString("latin1");
}

export class ServiceMap {
  readonly #fds: ServiceMapFds;
  readonly #state: StateMap;
  readonly #mappings: readonly Mapping[];
  readonly #buckets: ServiceBuckets;
  readonly #entries = new Map<string, ServiceEntry>();
  /** Services that found no room in the buckets and are in services4 or services6. */
  readonly #apart = new Set<string>();

  constructor(fds: ServiceMapFds, capacity: number, state: StateMap) {
    this.#fds = fds;
    this.#state = state;
    const sizes = ServiceBuckets.sizes(bucketCount(capacity));
    const cells = new Mapping(fds.serviceBuckets, sizes.cells * 8);
    const halves = new Mapping(fds.bucketVips, sizes.halves * 8);
    this.#mappings = [cells, halves];
    this.#buckets = new ServiceBuckets(cells.cells, halves.cells);
    for (const entry of this.#buckets.entries()) {
      this.#entries.set(keyTextOf(entry), decodeEntry(toBytes(entry.service)));
    }
    for (const [fd, { size: keySize }] of [
      [fds.services4, SERVICE4_KEY],
      [fds.services6, SERVICE6_KEY],
    ] as const) {
      for (const [key, value] of readHashMap(fd, keySize, SERVICE.size)) {
        const keyText = key.toString("latin1");
        this.#entries.set(keyText, decodeEntry(value));
        this.#apart.add(keyText);
      }
    }
    if (state.routed !== 0n) this.#entries.set(ROUTED_KEY, decodeEntry(toBytes(state.routed)));
  }

  get entries(): ReadonlyMap<string, ServiceEntry> {
    return this.#entries;
  }

  /** Answers whether anything had to be written. */
  set(keyText: string, entry: ServiceEntry): boolean {
    if (sameEntry(this.#entries.get(keyText), entry)) return false;
    const key = Buffer.from(keyText, "latin1");
    const value = encodeEntry(entry);
    if (keyText === ROUTED_KEY) {
      this.#state.routed = toNumber(value);
    } else if (!this.#putIntoBucket(keyText, value)) {
      const result = libbpf().updateElem(this.#hashOf(keyText), key, value, 0);
      bpfCheck(result, "write a service");
    }
    this.#entries.set(keyText, entry);
    return true;
  }

  delete(keyText: string): void {
    const key = Buffer.from(keyText, "latin1");
    if (keyText === ROUTED_KEY) {
      this.#state.routed = 0n;
    } else if (!this.#apart.has(keyText)) {
      this.#buckets.delete(placeOf(keyText));
    } else {
      const result = libbpf().deleteElem(this.#hashOf(keyText), key);
      if (result !== -ENOENT) bpfCheck(result, "remove a service");
      this.#apart.delete(keyText);
      this.#sayWhichAreUsed();
    }
    this.#entries.delete(keyText);
  }

  close(): void {
    for (const mapping of this.#mappings) mapping.unmap();
  }

  /** False: it belongs into a hash map, which the packet program then looks at. */
  #putIntoBucket(keyText: string, value: Buffer): boolean {
    if (!this.#apart.has(keyText)) {
      if (this.#buckets.set(placeOf(keyText), toNumber(value))) return true;
      this.#apart.add(keyText);
    }
    this.#sayWhichAreUsed();
    return false;
  }

  #sayWhichAreUsed(): void {
    const families = new Set([...this.#apart].map(isIpv4));
    this.#state.services4Used = families.has(true);
    this.#state.services6Used = families.has(false);
  }

  #hashOf(keyText: string): number {
    return isIpv4(keyText) ? this.#fds.services4 : this.#fds.services6;
  }
}
