// What is set in the packet program before it is loaded: how large its maps are, and who it works for.
import { macBytes, type MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { CONFIG, NAMED_WORDS, NODES, SLOTS_PER_WORD } from "./abi.gen.ts";
import type { CounterFds } from "./counter-maps.ts";
import type { LoadedObject } from "./program-loader.ts";
import { bucketCount, bucketShift } from "./service-buckets.ts";
import type { Capacities } from "./table-plan.ts";
import type { TableMapFds } from "./table-writer.ts";
import type { DatapathOptions } from "./types.ts";

export interface Sizes extends Capacities {
  readonly sessions: number;
  readonly fragments: number;
  /** Bytes of the ring buffer of frames that wait. */
  readonly held: number;
  /** Private paths. */
  readonly paths: number;
}

export const sizesOf = (options: DatapathOptions): Sizes => ({
  slots: Math.ceil((options.slotCapacity ?? 262_144) / SLOTS_PER_WORD) * SLOTS_PER_WORD,
  services: options.serviceCapacity ?? 16_384,
  vips: options.serviceCapacity ?? 16_384,
  sessions: options.sessionCapacity ?? 32_768,
  groups: options.groupCapacity ?? 4096,
  fragments: options.fragmentCapacity ?? 4096,
  held: options.heldCapacity ?? 2 ** 20,
  paths: options.paths ?? 0,
});

/** Without private paths the program never looks at the map. */
export const nodePathEntries = ({ paths }: Sizes): number => (paths === 0 ? 1 : NODES);

export const mapCapacities = (sizes: Sizes): Record<string, number> => ({
  service_buckets: bucketCount(sizes.services),
  bucket_vips: bucketCount(sizes.services),
  services4: sizes.services,
  services6: sizes.services,
  slots: sizes.slots / SLOTS_PER_WORD,
  former_owners: sizes.slots,
  udp_sessions: sizes.sessions,
  udp_idle: sizes.groups,
  other_ports: sizes.groups,
  named_nodes: sizes.groups * NAMED_WORDS,
  vips: sizes.vips,
  fragments: sizes.fragments,
  held: sizes.held,
  slot_counters: sizes.slots,
  group_counters: sizes.groups,
  node_paths: nodePathEntries(sizes),
});

/** Who a program works for, and where. */
export interface Place {
  readonly self: NodeId;
  readonly mac: MacAddress;
  /** Of an arm: index of the interface by which frames go to other nodes. Otherwise they leave by the one they came in on. */
  readonly peerLink?: number;
  /** The interface has the cluster MAC; the peering programs come behind this one. */
  readonly peering?: boolean;
}

export function constants(place: Place, sizes: Sizes, multiBuffer: boolean): Uint8Array {
  const { self, mac, peerLink = 0, peering = false } = place;
  const bytes = Buffer.alloc(CONFIG.size);
  bytes.set(macBytes(mac), CONFIG.mac);
  bytes.writeUInt32LE(self, CONFIG.self);
  bytes.writeUInt32LE(multiBuffer ? 1 : 0, CONFIG.multiBuffer);
  bytes.writeUInt32LE(bucketShift(bucketCount(sizes.services)), CONFIG.bucketShift);
  bytes.writeUInt32LE(sizes.paths, CONFIG.paths);
  bytes.writeUInt32LE(peerLink, CONFIG.peerLink);
  bytes.writeUInt32LE(peering ? 1 : 0, CONFIG.peering);
  return bytes;
}

export const tableMapFds = (object: LoadedObject): TableMapFds => ({
  state: object.mapFd(".data.state"),
  slots: object.mapFd("slots"),
  former: object.mapFd("former_owners"),
  nodes: object.mapFd("nodes"),
  tunnels: object.mapFd("tunnels"),
  tunnelEnds: object.mapFd("tunnel_ends"),
  vips: object.mapFd("vips"),
  exceptions: object.mapFd("exceptions"),
  sessionIdle: object.mapFd("udp_idle"),
  otherPorts: object.mapFd("other_ports"),
  named: object.mapFd("named_nodes"),
  serviceBuckets: object.mapFd("service_buckets"),
  bucketVips: object.mapFd("bucket_vips"),
  services4: object.mapFd("services4"),
  services6: object.mapFd("services6"),
});

export const counterFds = (object: LoadedObject): CounterFds => ({
  counters: object.mapFd("counters"),
  nodeCounters: object.mapFd("node_counters"),
  groupCounters: object.mapFd("group_counters"),
});
