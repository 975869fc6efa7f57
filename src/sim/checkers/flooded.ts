// A9, A13, A15: where every member filters, no flow is without a taker for longer than detection and assignment last. A frame to the
// cluster's MAC is taken by a member, or held by the master until its slot has an owner. (That two do not take it: one-taker.ts.)
import { ACKNOWLEDGE_MS } from "#core/node/publication.ts";
import { type DataPlane, floodedMac } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import { SAMPLE_MS, type World } from "../world.ts";

/** A cluster is held to it when its members have heard each other for so long: elections and joins are over. */
const SETTLED_MS = 1500;
/**
 * Detection is over by then: a dead member that is still listed does not count as settled. Assignment takes two steps, each of which
 * waits for a slow member once, since a death can come when a planned change is on its way. A sample at either end.
 */
export const NOBODY_MS = 2 * ACKNOWLEDGE_MS + 2 * SAMPLE_MS;

export class Flooded implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  /** Flows that nobody takes, and since when. */
  #untaken = new Map<string, number>();
  /** What the last look has seen: the master, and how much had changed. */
  #seenMaster = 0;
  #seenChanges = -1;
  readonly #rights: boolean[] = [];
  looks = 0;

  constructor(world: World, plane: DataPlane, parts: Parts) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
  }

  sample(): void {
    const [master, rival] = this.#world.masters.filter((node) => node.isHealthy);
    if (master === undefined || rival !== undefined || !this.#isSettled(master)) {
      this.#seenMaster = 0;
      return this.#untaken.clear();
    }
    if (this.#isNew(master) || this.#untaken.size > 0) this.#look(master);
  }

  /** Whether anything is other than when it was asked last. */
  #isNew({ id: master }: SimNode): boolean {
    const { changes } = this.#plane;
    let isNew = master !== this.#seenMaster || changes !== this.#seenChanges;
    this.#seenMaster = master;
    this.#seenChanges = changes;
    for (const { id, program } of this.#world.nodes) {
      const { accepting } = program;
      isNew ||= accepting !== this.#rights[id];
      this.#rights[id] = accepting;
    }
    return isNew;
  }

  /** Every member runs, and the master and it have heard each other for a while. */
  #isSettled(master: SimNode): boolean {
    const members = master.agent?.heart.machine.view.members ?? [];
    return members.every(({ id }) => {
      const node = this.#world.node(id);
      const follows = node.agent?.heart.machine.view.master === master.id;
      return follows && this.#parts.fineForMs(master, node) > SETTLED_MS;
    });
  }

  #look(master: SimNode): void {
    const before = this.#untaken;
    this.#untaken = new Map();
    const mac = floodedMac(master.program.installed.delivery);
    if (mac === undefined) return;
    this.looks += 1;
    const { nowMs } = this.#world;
    for (const { text, opening } of SAMPLE_FLOWS) {
      if (this.#plane.flood(mac, opening).length > 0) continue;
      const sinceMs = before.get(text) ?? nowMs;
      this.#untaken.set(text, sinceMs);
      if (nowMs - sinceMs <= NOBODY_MS) continue;
      throw new Violation(
        "flooded",
        `for ${Math.round(nowMs - sinceMs)} ms nobody has taken ${text}`,
      );
    }
  }
}
