// A13, A15, ADR 8: where every member receives a frame, no two that can hear each other take it, in no moment of any change.
//
// One exception, which ADR 8 names: a master that does not hear a member, or is not heard by it, gives its slots to others before the
// member can know. The specification asks for 0 frames served twice in steady state, and a link that loses keepalives for a whole
// detection interval is none. But the member hears that it is not listed, or it hears nobody, and its right ends: two takers that are not
// well connected to their master are a violation, too, when they last longer than that takes.
import { type DataPlane, floodedMac } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import { pairsOf, type Parts } from "../parts.ts";
import { howMany, Taken } from "../taken.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** Two that have just begun to hear each other have to agree first who is master. */
export const ACQUAINTED_MS = 4000;
/**
 * A member misses its master for a detection interval (200 ms) at most after it was given up, keeps its right for another one and the
 * wait for objections (100 ms) while it looks for a new one; and two samples.
 */
const UNHEARD_MS = 600;
/** Members of two masters serve two parts, until the masters have met. */
const areOneCluster = (a: SimNode, b: SimNode): boolean => {
  const [one, other] = [a, b].map(({ agent }) => agent?.heart.machine.view.master);
  return one !== undefined && one === other;
};

export class OneTaker implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  readonly #taken: Taken;
  #changes = -1;
  readonly #rights: boolean[] = [];
  #isDue = false;
  /** Since when two take one frame that are not well connected to their master, by their numbers. */
  #unheard = new Map<string, number>();
  looks = 0;

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
    this.#taken = new Taken(
      plane,
      SAMPLE_FLOWS.map(({ opening }) => opening),
    );
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
    const { changes } = this.#plane;
    let isNew = changes !== this.#changes || this.#unheard.size > 0;
    this.#changes = changes;
    for (const { id, program } of this.#world.nodes) {
      const { accepting } = program;
      isNew ||= accepting !== this.#rights[id];
      this.#rights[id] = accepting;
    }
    if (isNew) this.#look();
  }

  #isWell(a: SimNode, b: SimNode): boolean {
    return this.#parts.fineForMs(a, b) > ACQUAINTED_MS;
  }

  #areHeard(a: SimNode, b: SimNode): boolean {
    const master = this.#world.node(a.agent?.heart.machine.view.master ?? a.id);
    return this.#isWell(master, a) && this.#isWell(master, b);
  }

  #look(): void {
    const [master] = this.#world.masters.filter((node) => node.isHealthy);
    const mac = master && floodedMac(master.program.installed.delivery);
    if (mac === undefined) return this.#unheard.clear();
    this.looks += 1;
    const taken = this.#world.nodes.map((node) => this.#taken.by(node, mac));
    const unheard = new Map<string, number>();
    for (const [index, { text, opening }] of SAMPLE_FLOWS.entries()) {
      if (howMany(taken, index) < 2) continue;
      const takers = this.#plane
        .flood(mac, opening)
        .flatMap((fate) => (fate.what === "taken" ? [this.#world.node(fate.by)] : []));
      for (const [a, b] of pairsOf(takers)) this.#takenTwice(text, a, b, unheard);
    }
    this.#unheard = unheard;
  }

  #takenTwice(text: string, a: SimNode, b: SimNode, unheard: Map<string, number>): void {
    if (!areOneCluster(a, b) || !this.#isWell(a, b)) return;
    const both = `node ${a.id} and by node ${b.id}`;
    if (this.#areHeard(a, b)) throw new Violation("one-taker", `${text} is taken by ${both}`);
    const { nowMs } = this.#world;
    const sinceMs = this.#unheard.get(both) ?? nowMs;
    unheard.set(both, sinceMs);
    if (nowMs - sinceMs < UNHEARD_MS) return;
    const lasting = `for ${Math.round(nowMs - sinceMs)} ms, not well heard by their master`;
    throw new Violation("one-taker", `${text} is taken by ${both} ${lasting}`);
  }
}
