// The peering programs' maps: the host list goes in, counters come out. Written entry by entry, only what differs; what an
// earlier agent left is read back, and what is not listed any more goes.
import {
  ipBytes,
  ipFromBytes,
  macBytes,
  macFromBytes,
  type IpAddress,
  type MacAddress,
} from "#base/address.ts";
import { putMapped, unmapped } from "#base/mapped-address.ts";
import type { NodeId } from "#base/ids.ts";
import type { PeerLeak } from "#core/peering/leaks.ts";
import type { PeerReason } from "#core/peering/reasons.ts";
import { ADDRESS, COUNTER, NODES, OWN_ADDRESSES } from "./abi.gen.ts";
import { bpfCheck, libbpf } from "./libbpf.ts";
import {
  PEER,
  PEER_ADDRESSES,
  PEER_COUNTER,
  PEER_LEAK,
  PEER_LEAK_CLUSTER_SOURCE,
  PEER_LEAK_OUTSIDER,
  PEER_LEAK_OWN_SOURCE,
  PEER_LIVE,
  PEER_REASON_NAMES,
} from "./peer-abi.gen.ts";
import { readHashMap } from "./service-map.ts";
import type { Count } from "./types.ts";

export interface PeerEntry {
  readonly address: IpAddress;
  readonly node: NodeId;
  readonly mac: MacAddress;
  readonly live: boolean;
}

export interface OwnEntry {
  readonly address: IpAddress;
  /** What peers are to learn of it. */
  readonly mac: MacAddress;
}

export interface PeerCount {
  readonly in: Count;
  readonly out: Count;
  /** When the last frame came, on CLOCK_MONOTONIC; undefined: never. */
  readonly seenMs?: number;
}

/** Frames that show the same leak. */
export interface LeakCount {
  readonly packets: number;
  /** Of the last one: when it came, on CLOCK_MONOTONIC, its Ethernet source, and whom it says that it is from. */
  readonly seenMs: number;
  readonly mac: MacAddress;
  readonly address?: IpAddress;
}

export interface NoRoom {
  readonly own: number;
  readonly peers: number;
}

export interface PeerMapFds {
  readonly own_addresses: number;
  readonly peers: number;
  readonly peer_macs: number;
  readonly peer_nodes: number;
  readonly peer_counters: number;
  readonly peer_reasons: number;
  readonly peer_leaks: number;
}
export const PEER_MAPS = [
  "own_addresses",
  "peers",
  "peer_macs",
  "peer_nodes",
  "peer_counters",
  "peer_reasons",
  "peer_leaks",
] as const;

/** IPv4 as ::ffff:a.b.c.d. */
function addressKey(address: IpAddress): Buffer {
  const key = Buffer.alloc(ADDRESS.size);
  putMapped(key, 0, ipBytes(address));
  return key;
}

/** A MAC as the programs keep it, in eight bytes. */
function macNumber(mac: MacAddress): Buffer {
  const bytes = Buffer.alloc(8);
  bytes.set(macBytes(mac));
  return bytes;
}

function peerValue({ mac, node, live }: PeerEntry): Buffer {
  const value = Buffer.alloc(PEER.size);
  value.set(macBytes(mac), PEER.mac);
  value.writeUInt16LE(node, PEER.node);
  value.writeUInt16LE(live ? PEER_LIVE : 0, PEER.flags);
  return value;
}

/** One hash map, and what is in it. */
class WrittenMap {
  readonly #fd: number;
  readonly #entries = new Map<string, string>();
  readonly #capacity: number;

  constructor(fd: number, keySize: number, valueSize: number, capacity: number) {
    this.#fd = fd;
    this.#capacity = capacity;
    for (const [key, value] of readHashMap(fd, keySize, valueSize)) {
      this.#entries.set(key.toString("latin1"), value.toString("latin1"));
    }
  }

  /** What is beyond the map's capacity is left out; answers how many entries that are. */
  write(entries: readonly (readonly [Buffer, Buffer])[]): number {
    const texts = entries.map(([key, value]) => [key.toString("latin1"), value] as const);
    const wanted = new Map(texts.slice(0, this.#capacity));
    for (const key of [...this.#entries.keys()].filter((each) => !wanted.has(each))) {
      bpfCheck(libbpf().deleteElem(this.#fd, Buffer.from(key, "latin1")), "forget a peer");
      this.#entries.delete(key);
    }
    for (const [key, value] of wanted) {
      const text = value.toString("latin1");
      if (this.#entries.get(key) === text) continue;
      const result = libbpf().updateElem(this.#fd, Buffer.from(key, "latin1"), value, 0);
      bpfCheck(result, "write a peer");
      this.#entries.set(key, text);
    }
    return entries.length - Math.min(entries.length, this.#capacity);
  }
}

export class PeerTable {
  readonly #fds: PeerMapFds;
  readonly #own: WrittenMap;
  readonly #peers: WrittenMap;
  readonly #macs: WrittenMap;
  readonly #nodes = new Map<number, string>();
  readonly #cpus = bpfCheck(libbpf().possibleCpus(), "count the CPUs");

  constructor(fds: PeerMapFds) {
    this.#fds = fds;
    this.#own = new WrittenMap(fds.own_addresses, ADDRESS.size, 8, OWN_ADDRESSES);
    this.#peers = new WrittenMap(fds.peers, ADDRESS.size, PEER.size, PEER_ADDRESSES);
    this.#macs = new WrittenMap(fds.peer_macs, 8, 4, PEER_ADDRESSES);
  }

  /**
   * @param peers other nodes' addresses only
   * @returns how many found no room: the last ones of `own`, and of `peers`, which are treated as outsiders' then
   */
  write(peers: readonly PeerEntry[], own: readonly OwnEntry[]): NoRoom {
    const noRoom = {
      own: this.#own.write(own.map(({ address, mac }) => [addressKey(address), macNumber(mac)])),
      peers: Math.max(
        this.#macs.write(nodesOfMacs(peers)),
        this.#peers.write(peers.map((peer) => [addressKey(peer.address), peerValue(peer)])),
      ),
    };
    this.#writeNodes(peers);
    return noRoom;
  }

  /** Of each node the MAC of its last address, IPv6 after IPv4: link-local addresses are IPv6. */
  #writeNodes(peers: readonly PeerEntry[]): void {
    const macs = new Map(peers.map(({ node, mac }) => [node as number, macNumber(mac)]));
    const known = this.#nodes.size === 0 ? Array.from({ length: NODES }, (_, id) => id) : [];
    for (const node of new Set([...known, ...this.#nodes.keys(), ...macs.keys()])) {
      const value = macs.get(node) ?? Buffer.alloc(8);
      const text = value.toString("latin1");
      if (this.#nodes.get(node) === text) continue;
      const key = Buffer.from(Uint32Array.of(node).buffer);
      bpfCheck(libbpf().updateElem(this.#fds.peer_nodes, key, value, 0), "write a peer's MAC");
      this.#nodes.set(node, text);
    }
  }

  /** Frames from and to a node's dedicated MACs since the maps were made. */
  countOf(node: NodeId): PeerCount {
    const total = { in: { packets: 0, bytes: 0 }, out: { packets: 0, bytes: 0 } };
    let seenMs = 0;
    const values = this.#perCpu(this.#fds.peer_counters, node, PEER_COUNTER.size);
    for (let at = 0; at < values.byteLength; at += PEER_COUNTER.size) {
      const read = (offset: number): number => Number(values.readBigUInt64LE(at + offset));
      total.in.packets += read(PEER_COUNTER.inPackets);
      total.in.bytes += read(PEER_COUNTER.inBytes);
      total.out.packets += read(PEER_COUNTER.outPackets);
      total.out.bytes += read(PEER_COUNTER.outBytes);
      seenMs = Math.max(seenMs, read(PEER_COUNTER.seenNs) / 1e6);
    }
    return seenMs === 0 ? total : { ...total, seenMs };
  }

  /** What was done with frames, by reason. Frames of which nothing was done are not counted. */
  reasons(): Readonly<Record<PeerReason, Count>> {
    const counts = PEER_REASON_NAMES.map((name, index) => {
      const values = this.#perCpu(this.#fds.peer_reasons, index, COUNTER.size);
      const count = { packets: 0, bytes: 0 };
      for (let at = 0; at < values.byteLength; at += COUNTER.size) {
        count.packets += Number(values.readBigUInt64LE(at + COUNTER.packets));
        count.bytes += Number(values.readBigUInt64LE(at + COUNTER.bytes));
      }
      return [name, count] as const;
    });
    return Object.fromEntries(counts) as Record<PeerReason, Count>;
  }

  /** Of those that were seen since the maps were made. */
  leaks(): ReadonlyMap<PeerLeak, LeakCount> {
    const counts = LEAKS.flatMap(([leak, index]) => {
      const values = this.#perCpu(this.#fds.peer_leaks, index, PEER_LEAK.size);
      const count = leakCount(values);
      return count === undefined ? [] : [[leak, count] as const];
    });
    return new Map(counts);
  }

  #perCpu(fd: number, index: number, size: number): Buffer {
    const values = Buffer.alloc(this.#cpus * size);
    const key = Buffer.from(Uint32Array.of(index).buffer);
    bpfCheck(libbpf().lookupElem(fd, key, values), "read a counter of the peering programs");
    return values;
  }
}

const LEAKS: readonly (readonly [PeerLeak, number])[] = [
  ["cluster-source", PEER_LEAK_CLUSTER_SOURCE],
  ["own-source", PEER_LEAK_OWN_SOURCE],
  ["outsider", PEER_LEAK_OUTSIDER],
];

/** Of all CPUs; undefined: none. */
function leakCount(values: Buffer): LeakCount | undefined {
  let packets = 0;
  let seenNs = 0n;
  let last = values;
  for (let at = 0; at < values.byteLength; at += PEER_LEAK.size) {
    const one = values.subarray(at, at + PEER_LEAK.size);
    packets += Number(one.readBigUInt64LE(PEER_LEAK.packets));
    const seen = one.readBigUInt64LE(PEER_LEAK.seenNs);
    if (seen >= seenNs) [seenNs, last] = [seen, one];
  }
  if (packets === 0) return undefined;
  const bytes = (from: number, length: number): Uint8Array => last.subarray(from, from + length);
  const address = bytes(PEER_LEAK.address, ADDRESS.size);
  return {
    packets,
    seenMs: Number(seenNs) / 1e6,
    mac: macFromBytes(bytes(PEER_LEAK.mac, 6)),
    ...(address.every((byte) => byte === 0) ? {} : { address: ipFromBytes(unmapped(address)) }),
  };
}

const SEVERAL = 0;

/** Whose each MAC is. */
function nodesOfMacs(peers: readonly PeerEntry[]): (readonly [Buffer, Buffer])[] {
  const nodes = new Map<MacAddress, number>();
  for (const { mac, node } of peers) {
    const before = nodes.get(mac);
    nodes.set(mac, before === undefined || before === node ? node : SEVERAL);
  }
  return Array.from(nodes, ([mac, node]) => [
    macNumber(mac),
    Buffer.from(Uint32Array.of(node).buffer),
  ]);
}
