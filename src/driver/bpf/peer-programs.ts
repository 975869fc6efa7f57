// The two peering programs (bpf/peer.bpf.c) on the cluster interface and its arms: one set of maps, kept by the programs, which
// the interfaces keep; the next agent finds them there. Filters behind those of the packet program and of mask_egress, so they
// exist only beside them; Datapath.teardown() removes them all. Loaded at the start, when the agent still may; what they go by is
// in a map, and changes later (docs/adr/0017).
import { Mapping } from "../libc.ts";
import { attachedPeer, attachPeer, PEER_NAMES, type Direction } from "./attachment.ts";
import { findNetdev, netdev } from "./netdev.ts";
import {
  closeProgram,
  openProgram,
  type LiveMap,
  type LiveProgram,
  type MapShape,
} from "./objects.ts";
import { PEER_CONFIG } from "./peer-abi.gen.ts";
import { peerSettingsBytes, type PeerSettings } from "./peer-settings.ts";
import { PEER_MAPS, PeerTable, type PeerMapFds } from "./peer-table.ts";
import { LoadedObject } from "./program-loader.ts";

const DIRECTIONS: readonly Direction[] = ["out", "in"];
const OWN_ADDRESSES = "own_addresses";
export const PEER_SETTINGS_MAP = ".data.peer";

const mapFds = (object: LoadedObject): PeerMapFds =>
  Object.fromEntries(PEER_MAPS.map((name) => [name, object.mapFd(name)])) as Record<
    keyof PeerMapFds,
    number
  >;

/** Writes what the programs of an object go by. Answers whether that was something else. */
export function writeSettings(mapping: Mapping, settings: PeerSettings): boolean {
  const bytes = peerSettingsBytes(settings);
  if (Buffer.from(mapping.bytes.subarray(0, bytes.byteLength)).equals(bytes)) return false;
  mapping.bytes.set(bytes);
  return true;
}

export function writeDeadline({ bytes }: Mapping, untilNs: bigint): void {
  const at = bytes.byteOffset + PEER_CONFIG.liveUntilNs;
  Atomics.store(new BigUint64Array(bytes.buffer, at, 1), 0, untilNs);
}

export class PeerPrograms {
  readonly #object: LoadedObject;
  readonly #settings: Mapping;
  readonly table: PeerTable;

  private constructor(object: LoadedObject, settings: Mapping) {
    this.#object = object;
    this.#settings = settings;
    this.table = new PeerTable(mapFds(object));
  }

  /**
   * Loads the programs and puts them on the interfaces, or replaces those that are there and goes on with their maps.
   * @param interfaces with the packet program, the cluster interface first
   * @param ownAddressesFd the packet program's map
   */
  static open(
    interfaces: readonly string[],
    ownAddressesFd: number,
    settings: PeerSettings,
  ): PeerPrograms {
    const before = findPredecessor(interfaces[0] ?? "");
    try {
      const object = LoadedObject.load("peer.o", {
        existing: (name, shape) =>
          name === OWN_ADDRESSES ? ownAddressesFd : sameMap(before?.maps, name, shape),
      });
      const mapping = new Mapping(object.mapFd(PEER_SETTINGS_MAP), PEER_CONFIG.size);
      try {
        writeSettings(mapping, settings);
        for (const name of interfaces) put(name, object);
        return new PeerPrograms(object, mapping);
      } catch (error) {
        mapping.unmap();
        object.close();
        throw error;
      }
    } finally {
      if (before !== undefined) closeProgram(before);
    }
  }

  /** Goes by other MACs or choices from now on. False: they are the same. */
  change(settings: PeerSettings): boolean {
    return writeSettings(this.#settings, settings);
  }

  /** Who lives is known until then; a local responder answers for nobody later (C13). @param untilNs CLOCK_MONOTONIC */
  informed(untilNs: bigint): void {
    writeDeadline(this.#settings, untilNs);
  }

  /** Lets go of them; they go on. */
  close(): void {
    this.#settings.unmap();
    this.#object.close();
  }
}

/** Whatever interface has it: all have the same maps. */
function findPredecessor(name: string): LiveProgram | undefined {
  const ifindex = findNetdev(name)?.ifindex;
  const id = ifindex === undefined ? undefined : attachedPeer(ifindex, "in");
  return id === undefined ? undefined : openProgram(id);
}

/** Undefined where an earlier agent had none of that shape: then it is made anew, and filled. */
function sameMap(
  maps: readonly LiveMap[] | undefined,
  name: string,
  shape: MapShape,
): number | undefined {
  const found = maps?.find((map) => map.name === name);
  const isSame =
    found?.type === shape.type &&
    found.keySize === shape.keySize &&
    found.valueSize === shape.valueSize &&
    found.maxEntries === shape.maxEntries;
  return isSame ? found.fd : undefined;
}

/** Out of the stack first: nothing may leave with the cluster MAC as its source. */
function put(name: string, object: LoadedObject): void {
  const device = netdev(name);
  for (const direction of DIRECTIONS) {
    attachPeer(device, direction, object.programFd(PEER_NAMES[direction]));
  }
}
