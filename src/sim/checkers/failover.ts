// A9, A12, A18: in a cluster that was well, the death of one machine leaves no flow without a taker for longer than detection and
// assignment: 200 ms until it is noticed, and what its successor needs to be elected and to publish tables.
import type { Conditions } from "../conditions.ts";
import type { DataPlane } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** Two keepalives and a round trip of the election, one detour over the main thread. */
const ASSIGNMENT_MS = 60;
/** The cluster must have been well for so long before. */
const WELL_BEFORE_MS = 2000;

export class Failover implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #conditions: Conditions;
  readonly #isWhole: () => boolean;
  #faults = 0;
  checked = 0;

  constructor(world: World, plane: DataPlane, conditions: Conditions, isWhole: () => boolean) {
    this.#world = world;
    this.#plane = plane;
    this.#conditions = conditions;
    this.#isWhole = isWhole;
  }

  fault(): void {
    this.#faults += 1;
  }

  /** To be called just before a machine is made to fail. */
  expectFailureOf(node: SimNode): void {
    const wasWell = this.#conditions.calmForMs >= WELL_BEFORE_MS && this.#isWhole();
    if (!wasWell || this.#world.nodes.length < 2) return;
    const faults = this.#faults;
    const { detection } = this.#world.masters[0]?.agent?.main.config ?? this.#world.config;
    this.#world.in(detection.intervalMs + ASSIGNMENT_MS, () => {
      // one fault is announced after this call
      if (this.#faults <= faults + 1) this.#check(node, detection.intervalMs + ASSIGNMENT_MS);
    });
  }

  #check(dead: SimNode, afterMs: number): void {
    this.checked += 1;
    const [master, rival] = this.#world.masters.filter((node) => node.isHealthy);
    const when = `${afterMs} ms after node ${dead.id} failed`;
    if (master === undefined) throw new Violation("failover", `there is no master ${when}`);
    if (rival !== undefined) throw new Violation("failover", `there are two masters ${when}`);
    if (!master.program.leased)
      throw new Violation("failover", `nobody may answer for the VIPs ${when}`);
    const spec = master.agent?.main.config.spec;
    const { members } = master.agent?.heart.machine.view ?? { members: [] };
    if (members.every(({ id }) => spec?.drained.includes(id) === true)) return;
    for (const { text, opening } of SAMPLE_FLOWS) {
      const fate = this.#plane.walk(master, opening);
      const isServed = fate.what === "taken" && fate.reason === "pass-local" && fate.by !== dead.id;
      if (isServed) continue;
      throw new Violation(
        "failover",
        `${text} is served by nobody ${when}: ${JSON.stringify(fate)}`,
      );
    }
  }
}
