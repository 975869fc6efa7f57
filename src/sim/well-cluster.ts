// Since when every machine of the simulated world is well and follows one master: then nothing may be lost at all.
import type { Observer } from "./probes.ts";
import type { Parts } from "./parts.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

/** What a change of master or members has begun is over after so long: detection, a new connection to the master, acknowledgements. */
const SETTLED_MS = 3000;

export class WellCluster implements Observer {
  readonly #world: World;
  readonly #parts: Parts;
  #master = 0;
  #sinceMs = 0;

  constructor(world: World, parts: Parts) {
    this.#world = world;
    this.#parts = parts;
  }

  /** Whom every machine has followed long enough, all of them well; undefined when that is not so. */
  get master(): SimNode | undefined {
    if (this.#master === 0 || this.#masterOfAll() !== this.#master) return undefined;
    if (this.#world.nowMs - this.#sinceMs < SETTLED_MS) return undefined;
    return this.#world.node(this.#master);
  }

  sample(): void {
    const master = this.#masterOfAll();
    if (master === this.#master) return;
    this.#master = master;
    this.#sinceMs = this.#world.nowMs;
  }

  #masterOfAll(): number {
    const master = this.#world.nodes[0]?.agent?.heart.machine.view.master ?? 0;
    if (master === 0) return 0;
    for (const node of this.#world.nodes) {
      if (node.agent?.heart.machine.view.master !== master || !this.#isWell(node, master)) return 0;
    }
    return master;
  }

  #isWell(node: SimNode, master: number): boolean {
    if (node.id === master) return node.isHealthy;
    return this.#parts.fineForMs(this.#world.node(master), node) > SETTLED_MS;
  }
}
