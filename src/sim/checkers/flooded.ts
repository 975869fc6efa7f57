// A9, A13, A15: where every member filters, no flow is without a taker for longer than detection and assignment last. A frame to the
// cluster's MAC is taken by a member, or held by the master until its slot has an owner. (That two do not take it: one-taker.ts.)
import { clusterMac } from "#base/delivery.ts";
import { ACKNOWLEDGE_MS } from "#core/node/publication.ts";
import type { DataPlane } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import { SAMPLE_MS, type World } from "../world.ts";

/** A cluster is held to it when its members have heard each other for so long: elections and joins are over. */
const SETTLED_MS = 1500;
/**
 * Detection is over by then: a dead member that is still listed does not count as settled. Assignment takes two steps, each of which
 * waits for a slow member once, since a death can come when a planned change is on its way. A sample at either end.
 */
export const NOBODY_MS = 2 * ACKNOWLEDGE_MS + 2 * SAMPLE_MS;

export class Flooded implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  /** Flows that nobody takes, and since when. */
  #untaken = new Map<string, number>();
  #seen = "";
  looks = 0;

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
  }

  sample(): void {
    const [master, rival] = this.#world.masters.filter((node) => node.isHealthy);
    if (master === undefined || rival !== undefined || !this.#isSettled(master)) {
      this.#seen = "";
      return this.#untaken.clear();
    }
    const rights = this.#world.nodes.map(({ program }) => (program.accepting ? 1 : 0)).join("");
    const seen = `${master.id} ${this.#plane.changes} ${rights}`;
    if (seen !== this.#seen || this.#untaken.size > 0) this.#look(master);
    this.#seen = seen;
  }

  /** Every member runs, and the master and it have heard each other for a while. */
  #isSettled(master: SimNode): boolean {
    const members = master.agent?.heart.machine.view.members ?? [];
    return members.every(({ id }) => {
      const node = this.#world.node(id);
      const follows = node.agent?.heart.machine.view.master === master.id;
      return follows && this.#parts.fineForMs(master, node) > SETTLED_MS;
    });
  }

  #look(master: SimNode): void {
    const before = this.#untaken;
    this.#untaken = new Map();
    const { method, primary } = master.program.installed.delivery;
    if (method === "forward" || primary === undefined) return;
    this.looks += 1;
    const { nowMs } = this.#world;
    const mac = clusterMac(method, primary);
    for (const { text, opening } of SAMPLE_FLOWS) {
      if (this.#plane.flood(mac, opening).length > 0) continue;
      const sinceMs = before.get(text) ?? nowMs;
      this.#untaken.set(text, sinceMs);
      if (nowMs - sinceMs <= NOBODY_MS) continue;
      throw new Violation(
        "flooded",
        `for ${Math.round(nowMs - sinceMs)} ms nobody has taken ${text}`,
      );
    }
  }
}
