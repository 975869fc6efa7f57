// A15, docs/adr/0012: in a cluster that is well, no packet of a new connection that every member receives is lost, whatever slots move: in
// every moment somebody takes or keeps it.
import { type DataPlane, floodedMac } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import type { SimNode } from "../node.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** What a change of master or members has begun is over after so long: detection, a new connection to the master, acknowledgements. */
const SETTLED_MS = 3000;

export class NothingLost implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  #isDue = false;
  #master = 0;
  #sinceMs = 0;
  looks = 0;

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
  }

  /** In the moment after, when some have the new tables and others do not. */
  installed(): void {
    if (this.#isDue) return;
    this.#isDue = true;
    this.#world.in(0, () => {
      this.#isDue = false;
      this.#look();
    });
  }

  sample(): void {
    const master = this.#masterOfAll();
    if (master === this.#master) return;
    this.#master = master;
    this.#sinceMs = this.#world.nowMs;
  }

  /** Whom every machine follows, all of them well; 0 when that is not so. */
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

  #look(): void {
    if (this.#master === 0 || this.#masterOfAll() !== this.#master) return;
    if (this.#world.nowMs - this.#sinceMs < SETTLED_MS) return;
    const delivery = this.#world.nodes[0]?.program.installed.delivery;
    const mac = delivery && floodedMac(delivery);
    if (mac === undefined) return;
    // while the method changes, some go by one and some by the other, and clients have not been told
    const isAgreed = this.#world.nodes.every(
      ({ program }) => program.installed.delivery.method === delivery?.method,
    );
    if (!isAgreed) return;
    this.looks += 1;
    for (const { text, opening } of SAMPLE_FLOWS) {
      if (this.#plane.flood(mac, opening).length > 0) continue;
      throw new Violation("nothing-lost", `${text} is neither taken nor kept by anybody`);
    }
  }
}
