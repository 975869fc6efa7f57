// Who can hear whom, as a checker sees it: for how long two nodes have been healthy and connected without anything in between.
import type { Observer } from "./probes.ts";
import type { SimNode } from "./node.ts";
import type { World } from "./world.ts";

/** More loss, or damage, than this on a link, and the two ends cannot be held to anything in time. */
const TOLERABLE_LOSS = 0.05;

export class Parts implements Observer {
  readonly #world: World;
  readonly #size: number;
  /** True time since when a pair is as it should be; infinite when it is not. By a · size + b. */
  readonly #fineSince: Float64Array;
  /** What the last sample has seen: of each node whether it was healthy, and the links. */
  readonly #healthy: boolean[] = [];
  #links = -1;
  #loss = 0;
  #isDisturbed = true;

  constructor(world: World) {
    this.#world = world;
    this.#size = world.nodes.length + 1;
    this.#fineSince = new Float64Array(this.#size * this.#size).fill(Number.POSITIVE_INFINITY);
  }

  /** A fault that is over by the next sample would not be seen. */
  nodeChanged(node: SimNode): void {
    if (!node.isHealthy) this.disturb(node.id);
  }

  disturb(id: number): void {
    this.#isDisturbed = true;
    for (let other = 1; other < this.#size; other++) {
      this.#fineSince[id * this.#size + other] = Number.POSITIVE_INFINITY;
      this.#fineSince[other * this.#size + id] = Number.POSITIVE_INFINITY;
    }
  }

  /** Whether there is anything that the last sample has not seen. */
  #isNew(): boolean {
    const { nodes, network } = this.#world;
    let isNew = this.#isDisturbed || network.changes !== this.#links;
    const { loss, corruption } = network.weather;
    isNew ||= loss + corruption !== this.#loss;
    for (const { id, isHealthy } of nodes) {
      isNew ||= this.#healthy[id] !== isHealthy;
      this.#healthy[id] = isHealthy;
    }
    this.#links = network.changes;
    this.#loss = loss + corruption;
    this.#isDisturbed = false;
    return isNew;
  }

  sample(): void {
    if (!this.#isNew()) return;
    const { nodes, nowMs } = this.#world;
    for (const a of nodes) {
      for (const b of nodes) {
        const at = a.id * this.#size + b.id;
        if (!this.#isFine(a, b)) this.#fineSince[at] = Number.POSITIVE_INFINITY;
        else if (this.#fineSince[at] === Number.POSITIVE_INFINITY) this.#fineSince[at] = nowMs;
      }
    }
  }

  #isFine(a: SimNode, b: SimNode): boolean {
    const { network } = this.#world;
    return (
      a.isHealthy &&
      b.isHealthy &&
      network.connects(a.id, b.id) &&
      network.unheardBetween(a.id, b.id) <= TOLERABLE_LOSS
    );
  }

  /** For how long both have been healthy and have heard each other; 0 when they do not. */
  fineForMs(a: SimNode, b: SimNode): number {
    const since = this.#fineSince[a.id * this.#size + b.id] ?? Number.POSITIVE_INFINITY;
    return Math.max(0, this.#world.nowMs - since);
  }

  /** As between two, of the pair of these that has for the shortest time. */
  allFineForMs(nodes: Iterable<SimNode>): number {
    const pairs = pairsOf([...new Set(nodes)]);
    return Math.min(...pairs.map(([a, b]) => this.fineForMs(a, b)));
  }
}

export const pairsOf = (nodes: readonly SimNode[]): (readonly [SimNode, SimNode])[] =>
  nodes.flatMap((a, at) => nodes.slice(at + 1).map((b) => [a, b] as const));
