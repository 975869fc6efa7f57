// Since when nothing has changed about the machines and links of the simulated world: what is down stays down, what runs does so without
// being held up, the network is whole and loses little. Then a promise "within a time" counts, though faults may last: a node that is
// down for twenty seconds is no reason for a connection to another one to stand still.
import type { Observer } from "./probes.ts";
import { FAIR } from "./network.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

export class Quiet implements Observer {
  readonly #world: World;
  #disturbedMs = 0;
  #networkChanges = 0;

  constructor(world: World) {
    this.#world = world;
  }

  get forMs(): number {
    return this.#world.nowMs - this.#disturbedMs;
  }

  nodeChanged(): void {
    this.#disturbedMs = this.#world.nowMs;
  }

  /** An operator's change, too. */
  fault(): void {
    this.#disturbedMs = this.#world.nowMs;
  }

  sample(): void {
    const { network, masters, nodes, nowMs } = this.#world;
    const isHeldUp = (node: SimNode): boolean => node.state === "running" && !node.isHealthy;
    const { loss, jitterMs } = network.weather;
    const isFair = loss === 0 && jitterMs <= FAIR.jitterMs && network.isWhole && !network.isLossy;
    const isSteady = network.changes === this.#networkChanges && masters.length === 1;
    this.#networkChanges = network.changes;
    if (!isFair || !isSteady || nodes.some(isHeldUp)) this.#disturbedMs = nowMs;
  }
}
