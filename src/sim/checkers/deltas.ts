// B9: tables travel as what differs from those that a member holds. A member that does not hold what was thought asks for all of them; who
// has followed one master for a while has long had them, so it is never sent what does not fit.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { Heart, MembershipEvent } from "../heart.ts";
import type { Observer } from "../probes.ts";
import type { SimNode } from "../node.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** By then a member has said what it does not hold and has got it, also over links that lose much of what is said. */
const SETTLED_MS = 6000;

interface Follower {
  master: NodeId;
  /** Since when it has followed that one, in the same life, and its kernel has taken what it got. */
  sinceMs: number;
}

export class Deltas implements Observer {
  readonly #world: World;
  readonly #followers: Follower[] = [];
  /** For the summary. */
  wanted = 0;

  constructor(world: World) {
    this.#world = world;
  }

  #follower(id: number): Follower {
    return (this.#followers[id] ??= { master: NO_NODE, sinceMs: 0 });
  }

  #anew(id: number): void {
    this.#follower(id).sinceMs = this.#world.nowMs;
  }

  tablesWanted({ id }: SimNode): void {
    this.wanted += 1;
    const forMs = this.#world.nowMs - this.#follower(id).sinceMs;
    if (forMs <= SETTLED_MS) return;
    const text = `node ${id} was sent changes of tables that it does not hold, after ${Math.round(forMs)} ms with one master`;
    throw new Violation("deltas", text);
  }

  tablesRefused(id: number): void {
    this.#anew(id);
  }

  nodeChanged({ id }: SimNode): void {
    this.#anew(id);
  }

  decided({ id }: Heart, event: MembershipEvent): void {
    if (event.type !== "view-changed") return;
    const { master } = event.view;
    const follower = this.#follower(id);
    if (master === follower.master) return;
    follower.master = master;
    this.#anew(id);
  }
}
