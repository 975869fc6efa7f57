// Which of some flows each node takes when their first frames reach every member. Looked at after every change of any node, so what
// a node takes is kept until its packet program, or its rights, have changed.
import type { MacAddress } from "#base/address.ts";
import type { ClientFrame } from "./client-frame.ts";
import type { DataPlane } from "./data-plane.ts";
import type { SimNode } from "./node.ts";
import type { PacketProgram } from "./packet-program.ts";

interface Seen {
  readonly program: PacketProgram;
  readonly mac: MacAddress;
  readonly changes: number;
  readonly leased: boolean;
  readonly accepting: boolean;
  readonly flags: Uint8Array;
}

export class Taken {
  readonly #plane: DataPlane;
  readonly #frames: readonly ClientFrame[];
  readonly #seen: (Seen | undefined)[] = [];
  readonly #none: Uint8Array;

  /** @param frames that open flows of which no node has a connection: its connections play no part */
  constructor(plane: DataPlane, frames: readonly ClientFrame[]) {
    this.#plane = plane;
    this.#frames = frames;
    this.#none = new Uint8Array(frames.length);
  }

  /** One flag per frame that came to that MAC. */
  by(node: SimNode, mac: MacAddress): Uint8Array {
    const { id, program, isUp } = node;
    if (!isUp || !program.listensTo.has(mac)) return this.#none;
    const { changes, leased, accepting } = program;
    const seen = this.#seen[id];
    const isSame =
      seen?.program === program &&
      seen.mac === mac &&
      seen.changes === changes &&
      seen.leased === leased &&
      seen.accepting === accepting;
    if (isSame) return seen.flags;
    const fates = this.#frames.map((frame) => this.#plane.floodTo(node, mac, frame));
    const flags = Uint8Array.from(fates, ({ what }) => (what === "taken" ? 1 : 0));
    // what was sent on depends on other nodes, too
    const isOwn = fates.every((fate) => fate.what !== "lost" && fate.by === id);
    this.#seen[id] = isOwn ? { program, mac, changes, leased, accepting, flags } : undefined;
    return flags;
  }
}

/** How many of several nodes take one frame. */
export function howMany(taken: readonly Uint8Array[], frame: number): number {
  let count = 0;
  for (const flags of taken) count += flags[frame] ?? 0;
  return count;
}
