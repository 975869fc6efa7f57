// The two peering programs (bpf/peer.bpf.c) on the cluster interface and its arms: one set of maps, kept by the programs, which
// the interfaces keep; the next agent finds them there. Filters behind those of the packet program and of mask_egress, so they
// exist only beside them; Datapath.teardown() removes them all.
import { attachedPeer, attachPeer, PEER_NAMES, type Direction } from "./attachment.ts";
import { findNetdev, netdev } from "./netdev.ts";
import { closeProgram, openProgram, type LiveProgram } from "./objects.ts";
import { peerConstants, type PeerSettings } from "./peer-constants.ts";
import { PEER_MAPS, PeerTable, type PeerMapFds } from "./peer-table.ts";
import { LoadedObject } from "./program-loader.ts";

const DIRECTIONS: readonly Direction[] = ["out", "in"];
const OWN_ADDRESSES = "own_addresses";

const mapFds = (object: LoadedObject): PeerMapFds =>
  Object.fromEntries(PEER_MAPS.map((name) => [name, object.mapFd(name)])) as Record<
    keyof PeerMapFds,
    number
  >;

export class PeerPrograms {
  readonly #interfaces: readonly string[];
  /** Of the map that the packet program has as well. */
  readonly #ownAddressesFd: number;
  #object: LoadedObject;
  #settings: string;
  readonly table: PeerTable;

  private constructor(
    interfaces: readonly string[],
    ownAddressesFd: number,
    object: LoadedObject,
    settings: string,
  ) {
    this.#interfaces = interfaces;
    this.#ownAddressesFd = ownAddressesFd;
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
      const object = load(settings, (name) => {
        if (name === OWN_ADDRESSES) return ownAddressesFd;
        return before?.maps.find((map) => map.name === name)?.fd;
      });
      try {
        for (const name of interfaces) put(name, object);
        return new PeerPrograms(interfaces, ownAddressesFd, object, JSON.stringify(settings));
      } catch (error) {
        object.close();
        throw error;
      }
    } finally {
      if (before !== undefined) closeProgram(before);
    }
  }

  /** Goes by other MACs or choices from now on, without a frame that no program sees. Nothing is done when they are the same. */
  change(settings: PeerSettings): boolean {
    const text = JSON.stringify(settings);
    if (text === this.#settings) return false;
    const fds: Record<string, number> = { ...mapFds(this.#object) };
    const object = load(settings, (name) =>
      name === OWN_ADDRESSES ? this.#ownAddressesFd : (fds[name] ?? this.#fdOf(name)),
    );
    try {
      for (const name of this.#interfaces) put(name, object);
    } catch (error) {
      object.close();
      throw error;
    }
    // the table goes on with its descriptors, which are of the object that was opened first
    this.#retired.push(this.#object);
    this.#object = object;
    this.#settings = text;
    return true;
  }

  readonly #retired: LoadedObject[] = [];

  #fdOf(name: string): number | undefined {
    return name === "peer_asked" ? this.#object.mapFd(name) : undefined;
  }

  /** Lets go of them; they go on. */
  close(): void {
    for (const object of [...this.#retired, this.#object]) object.close();
  }
}

/** Whatever interface has it: all have the same maps. */
function findPredecessor(name: string): LiveProgram | undefined {
  const ifindex = findNetdev(name)?.ifindex;
  const id = ifindex === undefined ? undefined : attachedPeer(ifindex, "in");
  return id === undefined ? undefined : openProgram(id);
}

function load(
  settings: PeerSettings,
  existing: (name: string) => number | undefined,
): LoadedObject {
  return LoadedObject.load("peer.o", { constants: peerConstants(settings), existing });
}

/** Out of the stack first: nothing may leave with the cluster MAC as its source. */
function put(name: string, object: LoadedObject): void {
  const device = netdev(name);
  for (const direction of DIRECTIONS) {
    attachPeer(device, direction, object.programFd(PEER_NAMES[direction]));
  }
}
