// A15, docs/adr/0012: in a cluster that is well, no packet of a new connection that every member receives is lost, whatever slots move: in
// every moment somebody takes or keeps it.
import { type DataPlane, floodedMac } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { WellCluster } from "../well-cluster.ts";
import type { World } from "../world.ts";

export class NothingLost implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #well: WellCluster;
  #isDue = false;
  looks = 0;

  constructor(world: World, plane: DataPlane, well: WellCluster) {
    this.#world = world;
    this.#plane = plane;
    this.#well = well;
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

  #look(): void {
    if (this.#well.master === undefined) return;
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
