// A2, A6, A9: whoever a master lists is a node that the configuration names and that really ran a moment ago. A recording, a forged
// keepalive or a late one of a member that has left must not bring it back, and epochs rise by masterships only.
import type { Heart, MembershipEvent } from "../heart.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** After a node ends, its last datagrams may still be on their way, and its silence must be noticed. */
const NOTICED_MS = 1000;

export class NoGhosts implements Observer {
  readonly #world: World;
  #highestEpoch = 0;
  #masterships = 0;

  constructor(world: World) {
    this.#world = world;
  }

  decided(heart: Heart, event: MembershipEvent): void {
    if (event.type === "member-joined") this.#joined(heart, event.member.id);
    if (event.type !== "view-changed") return;
    const { role, epoch } = event.view;
    if (role !== "master" || epoch <= this.#highestEpoch) return;
    this.#masterships += 1;
    // each mastership is one above all that its master has seen, and nobody has seen more than there was
    if (epoch > this.#masterships) {
      const text = `node ${heart.id} is master with epoch ${epoch} after ${this.#masterships} rises of the epoch`;
      throw new Violation("no-ghosts", text);
    }
    this.#highestEpoch = epoch;
  }

  #joined(heart: Heart, id: number): void {
    const node = this.#world.node(id);
    const isGone = node.agent === undefined && this.#world.nowMs - node.sinceMs > NOTICED_MS;
    if (!isGone) return;
    const text = `node ${heart.id} admits node ${id}, whose agent has not run for ${Math.round(this.#world.nowMs - node.sinceMs)} ms`;
    throw new Violation("no-ghosts", text);
  }

  /** A node that is long gone is in no list of a master that runs. */
  sample(): void {
    for (const master of this.#world.masters) {
      if (!master.isHealthy || this.#world.nowMs - master.sinceMs < NOTICED_MS) continue;
      for (const { id } of master.agent?.heart.machine.view.members ?? []) {
        const node = this.#world.node(id);
        if (node.agent !== undefined || this.#world.nowMs - node.sinceMs < NOTICED_MS) continue;
        const text = `node ${master.id} still lists node ${id}, whose agent ended ${Math.round(this.#world.nowMs - node.sinceMs)} ms ago`;
        throw new Violation("no-ghosts", text);
      }
    }
  }
}
