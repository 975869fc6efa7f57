// A8: when the load, the members and their weights stay as they are, balancing comes to an end: no more than a slot moves at a time,
// none goes back to where it was, and in the end every member is within one slot of its share.
import type { Tables } from "#core/steering/tables.ts";
import type { SimNode } from "../node.ts";
import type { Observer } from "../probes.ts";
import { Violation } from "../violation.ts";
import type { ShiftingLoad } from "../workloads/shifting-load.ts";
import type { World } from "../world.ts";

/** One in each round of two seconds. */
const MOST_MOVES_PER_MINUTE = 30;
/** The smoothed estimate has all but forgotten the load before: what moved until then was moved by the old one in part. */
export const KNOWN_MS = 20_000;
/** Every slot of the group could have moved by then, one each round. */
export const SETTLED_MS = 100_000;
/** Noise may still be worth a move now and then. */
const MOST_LATE_MOVES = 2;
/** Members may differ by so much of the mean before anything moves. */
const TOLERANCE = 0.05;
const MINUTE_MS = 60_000;

/** What there is to serve, and for how much each node counts. */
export type Weights = ReadonlyMap<number, number>;

export class Balance implements Observer {
  readonly #world: World;
  readonly #load: ShiftingLoad;
  /** Of each slot, who has owned it since the load was known; the present owner last. */
  readonly #owners = new Map<number, number[]>();
  /** When slots moved. */
  #movedMs: number[] = [];
  #sinceMs = Number.POSITIVE_INFINITY;
  moves = 0;
  /** Shifts after which all was in balance. */
  settled = 0;
  slowestMs = 0;

  constructor(world: World, load: ShiftingLoad) {
    this.#world = world;
    this.#load = load;
  }

  /** The load, the members or their weights change, until `steady`. */
  disturbed(): void {
    this.#sinceMs = Number.POSITIVE_INFINITY;
  }

  /** From now on they stay as they are. */
  steady(): void {
    this.#sinceMs = this.#world.nowMs;
    this.#movedMs = [];
    for (const owners of this.#owners.values()) owners.splice(0, owners.length - 1);
  }

  installed(node: SimNode, tables: Tables): void {
    const [master] = this.#world.masters;
    const group = tables.groups.find(({ name }) => name === this.#load.group);
    if (node !== master || group === undefined) return;
    for (const [slot, owner] of group.owners.entries()) {
      const before = this.#owners.get(slot) ?? [];
      this.#owners.set(slot, before);
      if (owner === 0 || before.at(-1) === owner) continue; // let go, or nothing new
      if (before.length > 0 && this.#isSteady) this.#moved(slot, before, owner);
      if (this.#isKnown) before.push(owner);
      else before.splice(0, before.length, owner);
    }
  }

  get #isSteady(): boolean {
    return this.#sinceMs !== Number.POSITIVE_INFINITY;
  }

  get #isKnown(): boolean {
    return this.#world.nowMs - this.#sinceMs > KNOWN_MS;
  }

  #moved(slot: number, before: readonly number[], to: number): void {
    const { nowMs } = this.#world;
    this.moves += 1;
    if (this.#isKnown && before.includes(to)) {
      const path = [...before, to].join(" → ");
      throw new Violation("balance", `slot ${slot} goes to and fro under steady load: ${path}`);
    }
    this.#movedMs.push(nowMs);
    this.slowestMs = Math.max(this.slowestMs, nowMs - this.#sinceMs);
  }

  /** Moves that balancing alone has made: asked at the end of a time in which nobody has come or gone. */
  #tooMany(): string | undefined {
    const { nowMs } = this.#world;
    const known = this.#movedMs.filter((atMs) => atMs - this.#sinceMs > KNOWN_MS);
    const late = this.#movedMs.filter((atMs) => atMs - this.#sinceMs > SETTLED_MS).length;
    if (late > MOST_LATE_MOVES) {
      return `${late} slots have moved more than ${SETTLED_MS / 1000} s after the load was steady`;
    }
    const minutes = Math.max(1, (nowMs - this.#sinceMs - KNOWN_MS) / MINUTE_MS);
    const most = MOST_MOVES_PER_MINUTE * minutes;
    return known.length > most ? `${known.length} moves in ${minutes.toFixed(1)} min` : undefined;
  }

  /** All is as it shall stay. */
  judge(weights: Weights): void {
    const tooMany = this.#tooMany();
    if (tooMany !== undefined) throw new Violation("balance", tooMany);
    const { rates } = this.#load;
    const loads = new Map<number, number>();
    for (const [slot, owners] of this.#owners) {
      const owner = owners.at(-1) ?? 0;
      loads.set(owner, (loads.get(owner) ?? 0) + (rates[slot] ?? 0));
    }
    const total = rates.reduce((sum, rate) => sum + rate, 0);
    const weight = [...weights.values()].reduce((sum, each) => sum + each, 0);
    const slack = Math.max(...rates) + TOLERANCE * (total / weights.size);
    for (const [id, own] of weights) {
      const [load, share] = [loads.get(id) ?? 0, (total * own) / weight];
      if (Math.abs(load - share) <= slack) continue;
      const text = `node ${id} carries ${Math.round(load)}, its share is ${Math.round(share)}; a slot has at most ${Math.round(slack)}`;
      throw new Violation("balance", text);
    }
    this.settled += 1;
  }
}
