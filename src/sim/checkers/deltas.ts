// B9: tables travel as what differs from those that a member holds. Who has followed one master for a while is never sent what does not fit;
// and who had to ask for all of the tables gets them, after what was on its way already.
import type { NodeId } from "#base/ids.ts";
import { CHANNEL_TABLES } from "../control.ts";
import type { Heart, MembershipEvent } from "../heart.ts";
import type { Observer } from "../probes.ts";
import type { SimNode } from "../node.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** The first, and each that was on its way. */
const MOST_IN_VAIN = 1 + CHANNEL_TABLES;
/** A new master's first tables have come by then, over a connection that may have had to be tried several times. */
const SETTLED_MS = 6000;

interface Follower {
  master: NodeId;
  /** Since when it has followed that one, in the same life, and its kernel has taken what it got. */
  sinceMs: number;
  /** Questions since it last got tables that it could read. */
  inVain: number;
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
    return (this.#followers[id] ??= { master: 0 as NodeId, sinceMs: 0, inVain: 0 });
  }

  #anew(id: number): void {
    Object.assign(this.#follower(id), { sinceMs: this.#world.nowMs, inVain: 0 });
  }

  tablesWanted({ id }: SimNode): void {
    this.wanted += 1;
    const follower = this.#follower(id);
    follower.inVain += 1;
    const forMs = this.#world.nowMs - follower.sinceMs;
    if (forMs > SETTLED_MS) {
      const text = `node ${id} was sent changes of tables that it does not hold, after ${Math.round(forMs)} ms with one master`;
      throw new Violation("deltas", text);
    }
    if (follower.inVain <= MOST_IN_VAIN) return;
    throw new Violation("deltas", `node ${id} has asked for all tables ${follower.inVain} times`);
  }

  installed({ id }: SimNode): void {
    this.#follower(id).inVain = 0;
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
