// A13, A15, ADR 8: where every member receives a frame, no two that can hear each other take it, in no moment of any change; and somebody
// takes or holds it, but for as long as detection and assignment last.
import { type DataPlane, floodedMac } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import type { Parts } from "../parts.ts";
import { howMany, Taken } from "../taken.ts";
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
  readonly #taken: Taken;
  #changes = -1;
  readonly #rights: boolean[] = [];
  #isDue = false;
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
    let isNew = changes !== this.#changes;
    this.#changes = changes;
    for (const { id, program } of this.#world.nodes) {
      const { accepting } = program;
      isNew ||= accepting !== this.#rights[id];
      this.#rights[id] = accepting;
    }
    if (isNew) this.#look();
  }

  /** With each other, and with their master: whose keepalives it loses takes frames until it hears that it is given up (docs/adr/0008). */
  #areAcquainted(a: SimNode, b: SimNode): boolean {
    const master = this.#world.node(a.agent?.heart.machine.view.master ?? a.id);
    const pairs = [[a, b] as const, [master, a] as const, [master, b] as const];
    return pairs.every(([one, other]) => this.#parts.fineForMs(one, other) > ACQUAINTED_MS);
  }

  #look(): void {
    const [master] = this.#world.masters.filter((node) => node.isHealthy);
    const mac = master && floodedMac(master.program.installed.delivery);
    if (mac === undefined) return;
    this.looks += 1;
    const taken = this.#world.nodes.map((node) => this.#taken.by(node, mac));
    for (const [index, { text, opening }] of SAMPLE_FLOWS.entries()) {
      if (howMany(taken, index) < 2) continue;
      const takers = this.#plane
        .flood(mac, opening)
        .flatMap((fate) => (fate.what === "taken" ? [this.#world.node(fate.by)] : []));
      for (const [at, a] of takers.entries()) {
        const b = takers
          .slice(at + 1)
          .find((other) => areOneCluster(a, other) && this.#areAcquainted(a, other));
        if (b === undefined) continue;
        throw new Violation("one-taker", `${text} is taken by node ${a.id} and by node ${b.id}`);
      }
    }
  }
}
