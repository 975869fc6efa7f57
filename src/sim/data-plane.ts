// Frames through the simulated cluster: a client's frame enters at the node whose MAC the client has, and each node treats it with the
// real steer() under its own tables, leases and connections, until somebody takes or drops it.
import { macBytes, type MacAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { steer } from "#core/steering/pipeline.ts";
import type { Reason } from "#core/steering/reasons.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

/** Frames that circle would be a bug of their own. */
const MOST_HOPS = 6;
const CLIENT_MAC = Uint8Array.of(2, 0xc1, 0, 0, 0, 1);

export type Fate =
  | { readonly what: "taken" | "dropped" | "held"; readonly by: NodeId; readonly reason: Reason }
  /** A cable, or a machine that is not there. */
  | { readonly what: "lost" };

const LOST: Fate = { what: "lost" };

export class DataPlane {
  readonly #world: World;

  constructor(world: World) {
    this.#world = world;
  }

  /** MACs of nodes end with their numbers (world.ts). */
  #nodeAt(frame: Uint8Array): SimNode | undefined {
    return this.#world.nodes[(((frame[4] ?? 0) << 8) | (frame[5] ?? 0)) - 1];
  }

  /** What becomes of a client's frame that enters the cluster at `entry`, by that node's own MAC. */
  walk(entry: SimNode, frame: Uint8Array): Fate {
    const copy = frame.slice();
    copy.set(entry.program.mac, 0);
    copy.set(CLIENT_MAC, 6);
    return this.#walkOn(entry, copy);
  }

  /** What becomes of a client's frame to a cluster MAC, at every member that listens to it, unless it is somebody else's there. */
  flood(mac: MacAddress, frame: Uint8Array): Fate[] {
    const fates: Fate[] = [];
    for (const node of this.#world.nodes) {
      if (!node.isUp || !node.program.listensTo.has(mac)) continue;
      const copy = frame.slice();
      copy.set(macBytes(mac), 0);
      copy.set(CLIENT_MAC, 6);
      const fate = this.#walkOn(node, copy);
      if (fate.what === "taken" || fate.what === "held") fates.push(fate);
    }
    return fates;
  }

  #walkOn(entry: SimNode, frame: Uint8Array): Fate {
    let node = entry;
    for (let hops = 0; hops < MOST_HOPS; hops++) {
      if (!node.isUp) return LOST;
      const verdict = steer(frame, node.program);
      if (verdict.action === "pass") return { what: "taken", by: node.id, reason: verdict.reason };
      if (verdict.action === "hold") return { what: "held", by: node.id, reason: verdict.reason };
      if (verdict.action !== "forward") {
        return { what: "dropped", by: node.id, reason: verdict.reason };
      }
      const next = this.#nodeAt(frame);
      if (next === undefined || !this.#world.network.carries(node.id, next.id)) return LOST;
      node = next;
    }
    throw new Error("a frame was sent on more often than hops can rise");
  }

  /** Who would answer a client's question for the VIPs, of those that it reaches. */
  answering(): SimNode[] {
    return this.#world.nodes.filter(
      ({ isUp, program }) => isUp && program.answers && program.leased,
    );
  }

  /** Rises with everything that can change a frame's fate, except the passing of time. */
  get changes(): number {
    let sum = this.#world.network.changes;
    for (const { program } of this.#world.nodes) sum += program.changes;
    return sum;
  }
}
