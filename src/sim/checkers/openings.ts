// A15, docs/adr/0012: a first frame that waits for an owner of its slot goes on to one: in a cluster that is well it is served before a client
// would repeat it. And it is served once: nobody takes what another one has taken that hears him, wherever it waited meanwhile.
import type { NodeId } from "#base/ids.ts";
import { pairsOf, type Parts } from "../parts.ts";
import type { SimNode } from "../node.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { WellCluster } from "../well-cluster.ts";
import type { Opening, Openings } from "../workloads/openings.ts";
import type { World } from "../world.ts";
import { ACQUAINTED_MS } from "./one-taker.ts";

export class ServedOnce implements Observer {
  readonly #world: World;
  readonly #parts: Parts;
  readonly #well: WellCluster;
  readonly #openings: Openings;
  /** Those that were sent in a cluster that has been well since. */
  readonly #watched = new Set<Opening>();
  #lastMs = 0;
  /** For the summary. */
  looks = 0;

  constructor(world: World, parts: Parts, well: WellCluster, openings: Openings) {
    this.#world = world;
    this.#parts = parts;
    this.#well = well;
    this.#openings = openings;
    openings.taken = (opening) => this.#taken(opening);
    openings.ended = (opening) => this.#ended(opening);
  }

  sample(): void {
    if (!this.#isWell()) return this.#watched.clear();
    for (const opening of this.#openings.recent) {
      if (opening.sentMs >= this.#lastMs) this.#watched.add(opening);
    }
    this.#lastMs = this.#world.nowMs;
  }

  /** While the method changes, clients have not all been told. */
  #isWell(): boolean {
    const master = this.#well.master;
    const method = master?.program.installed.delivery.method;
    const isAgreed = this.#world.nodes.every(
      ({ program }) => program.installed.delivery.method === method,
    );
    return master !== undefined && isAgreed && this.#anybodyServes(master);
  }

  #anybodyServes({ agent }: SimNode): boolean {
    const { drained = [], groups = [] } = agent?.main.config.spec ?? {};
    return groups.every(({ nodes }) =>
      nodes.some(({ id, weight }) => weight > 0 && !drained.includes(id)),
    );
  }

  #ended(opening: Opening): void {
    if (!this.#watched.delete(opening)) return;
    this.looks += 1;
    if (opening.takers.size > 0) return;
    const kept = [...opening.keepers].join(" and ");
    const where = kept === "" ? "and nobody has kept it" : `and has waited at node ${kept}`;
    throw new Violation("openings", `${opening.text} has not been served, ${where}`);
  }

  #taken({ text, takers }: Opening): void {
    if (takers.size < 2) return;
    for (const [a, b] of pairsOf([...takers].map((id) => this.#world.node(id)))) {
      if (!this.#isOneCluster(a, b)) continue;
      throw new Violation("openings", `${text} was taken by node ${a.id} and by node ${b.id}`);
    }
  }

  #masterOf({ agent }: SimNode): NodeId | undefined {
    return agent?.heart.machine.view.master;
  }

  /** Both have heard each other and their master well. */
  #isOneCluster(a: SimNode, b: SimNode): boolean {
    const master = this.#masterOf(a);
    if (master === undefined || master === 0 || this.#masterOf(b) !== master) return false;
    return this.#parts.allFineForMs([a, b, this.#world.node(master)]) > ACQUAINTED_MS;
  }
}
