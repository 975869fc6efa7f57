// Frames through the simulated cluster: a client's frame enters at the node whose MAC the client has, and each node treats it with the
// real steer() under its own tables, leases and connections, until somebody takes or drops it.
import { macBytes, type IpAddress, type MacAddress } from "#base/address.ts";
import { clusterMac } from "#base/delivery.ts";
import type { NodeId } from "#base/ids.ts";
import type { Reason } from "#core/steering/reasons.ts";
import type { Delivery } from "#core/steering/tables.ts";
import { hopMac } from "#wire/ethernet-hop.ts";
import type { ClientFrame } from "./client-frame.ts";
import type { SimNode } from "./node.ts";
import type { Arrival } from "./steering-memory.ts";
import type { World } from "./world.ts";

/** Frames that circle would be a bug of their own. */
const MOST_HOPS = 8;
const CLIENT_MAC = [2, 0xc1, 0, 0, 0, 1];
/** Key of the arrivals at a node's own MAC; those at cluster MACs have the numbers after it (steering-memory.ts). */
const BY_OWN_MAC = 0;

const fromClient = (to: Uint8Array): Uint8Array => Uint8Array.of(...to, ...CLIENT_MAC);

export type Fate =
  | {
      readonly what: "taken" | "dropped" | "held";
      readonly by: NodeId;
      readonly reason: Reason;
      /** Where it came from outside. */
      readonly entered: NodeId;
    }
  /** A cable, or a machine that is not there. */
  | { readonly what: "lost" };

const LOST: Fate = { what: "lost" };

const floodedMacs = new WeakMap<Delivery, MacAddress>();

/** The MAC by which clients reach every member; undefined where one node forwards. */
export function floodedMac(delivery: Delivery): MacAddress | undefined {
  const { method, primary } = delivery;
  if (method === "forward" || primary === undefined) return undefined;
  const mac = floodedMacs.get(delivery) ?? clusterMac(method, primary);
  floodedMacs.set(delivery, mac);
  return mac;
}

export class DataPlane {
  readonly #world: World;
  readonly #ownMacs: Arrival[] = [];
  readonly #clusterMacs = new Map<MacAddress, Arrival>();

  constructor(world: World) {
    this.#world = world;
  }

  /** What becomes of a client's frame that enters the cluster at `entry`, by that node's own MAC. */
  walk(entry: SimNode, frame: ClientFrame): Fate {
    return this.#walkOn(entry, frame, this.#byOwnMac(entry));
  }

  /** What becomes of a client's frame to a cluster MAC, at every member that listens to it, unless it is somebody else's there. */
  flood(mac: MacAddress, frame: ClientFrame): Fate[] {
    const fates: Fate[] = [];
    const arrival = this.#byClusterMac(mac);
    for (const node of this.#world.nodes) {
      if (!node.isUp || !node.program.listensTo.has(mac)) continue;
      const fate = this.#walkOn(node, frame, arrival);
      if (fate.what === "taken" || fate.what === "held") fates.push(fate);
    }
    return fates;
  }

  /** The same, at one of them. */
  floodTo(node: SimNode, mac: MacAddress, frame: ClientFrame): Fate {
    return this.#walkOn(node, frame, this.#byClusterMac(mac));
  }

  /** A frame that was held at a node goes on; to that node itself as if it came from outside (daemon/slot-work.ts). */
  sendOn(from: SimNode, to: NodeId, frame: ClientFrame): Fate {
    if (to === from.id) return this.walk(from, frame);
    const target = this.#world.node(to);
    if (!from.isUp || !this.#world.network.carries(from.id, to)) return LOST;
    const macs = Uint8Array.of(...target.program.mac, ...hopMac({ hop: 1, asked: 0 }, from.id));
    return this.#walkOn(target, frame, { key: undefined, macs });
  }

  #byOwnMac({ id, program }: SimNode): Arrival {
    const known = this.#ownMacs[id];
    if (known !== undefined) return known;
    const arrival = { key: BY_OWN_MAC, macs: fromClient(program.mac) };
    this.#ownMacs[id] = arrival;
    return arrival;
  }

  #byClusterMac(mac: MacAddress): Arrival {
    const known = this.#clusterMacs.get(mac);
    if (known !== undefined) return known;
    const arrival = {
      key: BY_OWN_MAC + 1 + this.#clusterMacs.size,
      macs: fromClient(macBytes(mac)),
    };
    this.#clusterMacs.set(mac, arrival);
    return arrival;
  }

  #walkOn(entry: SimNode, frame: ClientFrame, entering: Arrival): Fate {
    let [node, arrival] = [entry, entering];
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      if (!node.isUp) return LOST;
      const { action, reason, onwards } = node.program.steer(frame, arrival);
      if (action === "pass") return { what: "taken", by: node.id, reason, entered: entry.id };
      if (action === "hold") return { what: "held", by: node.id, reason, entered: entry.id };
      if (onwards === undefined) return { what: "dropped", by: node.id, reason, entered: entry.id };
      const next = this.#nodeAt(onwards);
      if (next === undefined || !this.#world.network.carries(node.id, next.id)) return LOST;
      node = next;
      arrival = onwards;
    }
    throw new Error("a frame was sent on more often than hops can rise");
  }

  /** MACs of nodes end with their numbers (world.ts). */
  #nodeAt({ macs }: Arrival): SimNode | undefined {
    return this.#world.nodes[(((macs[4] ?? 0) << 8) | (macs[5] ?? 0)) - 1];
  }

  /** Who would answer a client's question for the VIP, of those that it reaches. */
  answering(vip: IpAddress): SimNode[] {
    return this.#world.nodes.filter(({ isUp, program }) => isUp && program.answersFor(vip));
  }

  /** Rises with everything that can change a frame's fate, except the passing of time. */
  get changes(): number {
    let sum = this.#world.network.changes;
    for (const { program } of this.#world.nodes) sum += program.changes;
    return sum;
  }
}
