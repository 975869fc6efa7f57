// A13, A15, ADR 8: where every member receives a frame, no two that can hear each other take it, in no moment of any change; and somebody
// takes or holds it, but for as long as detection and assignment last.
import { clusterMac } from "#base/delivery.ts";
import type { DataPlane } from "../data-plane.ts";
import { sampleFlows } from "../flows.ts";
import type { SimNode } from "../node.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** Two that have just begun to hear each other have to agree first who is master. */
const ACQUAINTED_MS = 4000;
/** Members of two masters serve two parts, until the masters have met. */
const areOneCluster = (a: SimNode, b: SimNode): boolean => {
  const [one, other] = [a, b].map(({ agent }) => agent?.heart.machine.view.master);
  return one !== undefined && one === other;
};

export class OneTaker implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  readonly #flows = sampleFlows();
  #seen = "";
  #isDue = false;
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
    const rights = this.#world.nodes.map(({ program }) => (program.accepting ? 1 : 0)).join("");
    const seen = `${this.#plane.changes} ${rights}`;
    if (seen === this.#seen) return;
    this.#seen = seen;
    this.#look();
  }

  #look(): void {
    const [master] = this.#world.masters.filter((node) => node.isHealthy);
    const delivery = master?.program.installed.delivery;
    if (delivery === undefined || delivery.method === "forward") return;
    if (delivery.primary === undefined) return;
    this.looks += 1;
    const mac = clusterMac(delivery.method, delivery.primary);
    for (const { text, opening } of this.#flows) {
      const takers = this.#plane
        .flood(mac, opening)
        .flatMap((fate) => (fate.what === "taken" ? [this.#world.node(fate.by)] : []));
      for (const [index, a] of takers.entries()) {
        const b = takers
          .slice(index + 1)
          .find(
            (other) => areOneCluster(a, other) && this.#parts.fineForMs(a, other) > ACQUAINTED_MS,
          );
        if (b === undefined) continue;
        throw new Violation("one-taker", `${text} is taken by node ${a.id} and by node ${b.id}`);
      }
    }
  }
}
