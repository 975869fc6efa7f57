// A9, A15, B1: every work set has exactly one owner among those that acknowledge it. A frame that enters at the master is taken by one
// member, at whichever other member it enters, it is taken by the same one, and no flow is without a taker for longer than
// detection and assignment together may last.
import type { Conditions } from "../conditions.ts";
import type { DataPlane, Fate } from "../data-plane.ts";
import { SAMPLE_FLOWS } from "../flows.ts";
import type { SimNode } from "../node.ts";
import type { Parts } from "../parts.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { World } from "../world.ts";

/** Nodes are held to an agreement once they have been well and connected for so long. */
const SETTLED_MS = 1500;
/**
 * Detection (200 ms) and assignment, with a main thread that may be busy and planned changes that wait for their
 * acknowledgement; the sharp limit for a single fault is the failover checker's.
 */
export const UNSERVED_MS = 1500;
/** Longest time for which members forward by different tables: what a member missed is sent when it connects again. */
export const DISAGREE_MS = 6000;

/** A member that could not reach its master tries again after two seconds at most, and then acknowledges. */
const REACHED_MS = 5000;

const shown = (fate: Fate): string =>
  fate.what === "lost" ? "lost" : `${fate.what} by node ${fate.by} (${fate.reason})`;

export class Ownership implements Observer {
  readonly #world: World;
  readonly #plane: DataPlane;
  readonly #parts: Parts;
  readonly #conditions: Conditions;
  /** What was wrong, and since when. */
  #wrong = new Map<string, { readonly sinceMs: number; text: string }>();
  #lastChanges = -1;
  #settled: { readonly master: SimNode; readonly members: readonly SimNode[] } | undefined;
  evaluations = 0;

  constructor(world: World, plane: DataPlane, parts: Parts, conditions: Conditions) {
    this.#world = world;
    this.#plane = plane;
    this.#parts = parts;
    this.#conditions = conditions;
  }

  sample(): void {
    const [master, rival] = this.#world.masters.filter((node) => node.isHealthy);
    if (master === undefined || rival !== undefined) return this.#wrong.clear();
    const members = this.#settledMembers(master);
    const { changes } = this.#plane;
    const isNew = changes !== this.#lastChanges || !this.#isSettled(master, members);
    if (isNew || this.#wrong.size > 0) this.#evaluate(master, members);
    this.#lastChanges = changes;
    this.#settled = { master, members };
    this.#judge();
  }

  /** Whether the members, and who leads them, are those of the last sample. */
  #isSettled(master: SimNode, members: readonly SimNode[]): boolean {
    const before = this.#settled;
    if (before?.master !== master || before.members.length !== members.length) return false;
    return members.every((member, index) => before.members[index] === member);
  }

  /** Members that the master and each other have heard well for a while. */
  #settledMembers(master: SimNode): SimNode[] {
    const members: SimNode[] = [];
    for (const node of this.#world.nodes) {
      if (node.agent?.heart.machine.view.master !== master.id) continue;
      const isSettled = [master, ...members].every(
        (other) => this.#parts.fineForMs(other, node) > SETTLED_MS,
      );
      if (isSettled) members.push(node);
    }
    return members;
  }

  #evaluate(master: SimNode, members: readonly SimNode[]): void {
    this.evaluations += 1;
    const before = this.#wrong;
    this.#wrong = new Map();
    if (!members.includes(master)) return;
    const note = (key: string, text: string): void => {
      const sinceMs = before.get(key)?.sinceMs ?? this.#world.nowMs;
      this.#wrong.set(key, { sinceMs, text });
    };
    if (!this.#anybodyServes(master)) return;
    for (const { text, opening } of SAMPLE_FLOWS) {
      const fate = this.#plane.walk(master, opening);
      // whom the master sends it to serves it, also by tables in which the slot is on its way to somebody else
      const isServed =
        fate.what === "taken" && (fate.reason === "pass-local" || fate.by !== master.id);
      if (!isServed) note("unserved", `${text} at node ${master.id}: ${shown(fate)}`);
      if (!isServed) continue;
      if (!members.some(({ id }) => id === fate.by)) continue;
      for (const entry of members) {
        // of three or more, one and then another: every change is looked at many times
        if ((entry.id + this.evaluations) % members.length > 1) continue;
        const other = this.#plane.walk(entry, opening);
        if (other.what === "taken" && other.by === fate.by) continue;
        note(
          "two-owners",
          `${text}: ${shown(fate)} from node ${master.id}, but ${shown(other)} from node ${entry.id}`,
        );
      }
    }
  }

  /**
   * Operators may have drained all that are left. The master itself can always be given slots; others once they have
   * acknowledged tables, for which they must have reached it.
   */
  #anybodyServes(master: SimNode): boolean {
    const drained = master.agent?.main.config.spec.drained ?? [];
    if (!drained.includes(master.id)) return true;
    const members = master.agent?.heart.machine.view.members ?? [];
    return (
      this.#conditions.calmForMs > REACHED_MS && members.some(({ id }) => !drained.includes(id))
    );
  }

  #judge(): void {
    const { nowMs } = this.#world;
    for (const [key, { sinceMs, text }] of this.#wrong) {
      const lasted = Math.min(
        nowMs - sinceMs,
        key === "unserved" ? Number.POSITIVE_INFINITY : this.#conditions.calmForMs,
      );
      const limit = key === "unserved" ? UNSERVED_MS : DISAGREE_MS;
      if (lasted <= limit) continue;
      throw new Violation("ownership", `for ${Math.round(lasted)} ms: ${text}`);
    }
  }
}
