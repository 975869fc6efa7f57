// The two service maps (tables 1 and 2 of B2, one map for each family) as the agent knows them: a copy is kept, so
// that only differences are written; after a restart it is read back from the kernel.
import { ipBytes } from "#base/address.ts";
import type { ServiceKey } from "#core/steering/tables.ts";
import {
  SERVICE,
  SERVICE4_KEY,
  SERVICE6_KEY,
  SERVICE_STICKY,
  TABLE_ANY,
  TABLE_PORT,
} from "./abi.gen.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";

const PROTOCOL_NUMBERS = { tcp: 6, udp: 17 } as const;
const BATCH = 1024;
const ENOENT = 2;

/** Value of a service: where its group has its slots. */
export interface ServiceEntry {
  readonly base: number;
  readonly slots: number;
  readonly group: number;
  readonly sticky: boolean;
}

/** The kernel's key of a service, as a string of one character per byte. */
export function serviceKeyText({ protocol, vip, port }: ServiceKey): string {
  const address = ipBytes(vip);
  const layout = address.byteLength === 4 ? SERVICE4_KEY : SERVICE6_KEY;
  const key = Buffer.alloc(layout.size);
  key.set(address, layout.vip);
  if (port !== "any") key.writeUInt16BE(port, layout.port);
  key[layout.protocol] = PROTOCOL_NUMBERS[protocol];
  key[layout.table] = port === "any" ? TABLE_ANY : TABLE_PORT;
  return key.toString("latin1");
}

export function isAnyPort(keyText: string): boolean {
  const layout = keyText.length === SERVICE4_KEY.size ? SERVICE4_KEY : SERVICE6_KEY;
  return keyText.charCodeAt(layout.table) === TABLE_ANY;
}

const sameEntry = (a: ServiceEntry | undefined, b: ServiceEntry): boolean =>
  a !== undefined &&
  a.base === b.base &&
  a.slots === b.slots &&
  a.group === b.group &&
  a.sticky === b.sticky;

function encodeEntry(entry: ServiceEntry): Buffer {
  const value = Buffer.alloc(SERVICE.size);
  value.writeUInt32LE(entry.base, SERVICE.base);
  value.writeUInt16LE(entry.group, SERVICE.group);
  value[SERVICE.slotBits] = Math.log2(entry.slots);
  value[SERVICE.flags] = entry.sticky ? SERVICE_STICKY : 0;
  return value;
}

function decodeEntry(value: Buffer): ServiceEntry {
  return {
    base: value.readUInt32LE(SERVICE.base),
    slots: 2 ** (value[SERVICE.slotBits] ?? 0),
    group: value.readUInt16LE(SERVICE.group),
    sticky: value[SERVICE.flags] === SERVICE_STICKY,
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

export class ServiceMap {
  readonly #fd4: number;
  readonly #fd6: number;
  readonly #entries = new Map<string, ServiceEntry>();

  constructor(fd4: number, fd6: number) {
    this.#fd4 = fd4;
    this.#fd6 = fd6;
    for (const [fd, { size }] of [
      [fd4, SERVICE4_KEY],
      [fd6, SERVICE6_KEY],
    ] as const) {
      for (const [key, value] of readHashMap(fd, size, SERVICE.size)) {
        this.#entries.set(key.toString("latin1"), decodeEntry(value));
      }
    }
  }

  get entries(): ReadonlyMap<string, ServiceEntry> {
    return this.#entries;
  }

  /** Answers whether anything had to be written. */
  set(keyText: string, entry: ServiceEntry): boolean {
    if (sameEntry(this.#entries.get(keyText), entry)) return false;
    const key = Buffer.from(keyText, "latin1");
    const result = libbpf().updateElem(this.#fdOf(keyText), key, encodeEntry(entry), 0);
    bpfCheck(result, "write a service");
    this.#entries.set(keyText, entry);
    return true;
  }

  delete(keyText: string): void {
    const key = Buffer.from(keyText, "latin1");
    const result = libbpf().deleteElem(this.#fdOf(keyText), key);
    if (result !== -ENOENT) bpfCheck(result, "remove a service");
    this.#entries.delete(keyText);
  }

  #fdOf(keyText: string): number {
    return keyText.length === SERVICE4_KEY.size ? this.#fd4 : this.#fd6;
  }
}
