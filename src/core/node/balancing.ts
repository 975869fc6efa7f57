// A8: what the master knows of the load of measured groups, and which slots it moves, once a round of two seconds. It moves nothing in
// a group until every member that may own its slots has reported lately: who has not is not idle, only unknown.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { elapsedMs, type Instant } from "#base/time.ts";
import { nextMove, type Move } from "#core/steering/balance.ts";
import { LoadEstimate } from "#core/steering/load-estimate.ts";
import { weighed } from "#core/steering/measured-ownership.ts";
import type { DesiredGroup } from "#core/steering/next-tables.ts";
import type { SlotReport } from "#wire/control/slot-report.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "#core/steering/tables.ts";
import { PLANNED_FORMER_OWNERS } from "#core/steering/transition.ts";

export const ROUND_MS = 2000;
/** A report counts for three rounds. */
const REPORT_LASTS_MS = 3 * ROUND_MS;
/** A slot stays where it has come for so many rounds: its new owner must have been measured with it. */
const REST_ROUNDS = 5;

interface Group {
  readonly estimate: LoadEstimate;
  /** Round of each slot's last move. No more than there are slots. */
  readonly moved: Map<number, number>;
}

export class Balancing {
  readonly #groups = new Map<string, Group>();
  /** When each member last reported. No more than there are node ids. */
  readonly #reported = new Map<NodeId, Instant>();
  #round = 0;

  /** Another master knew; this one has to hear it first. */
  forget(): void {
    this.#groups.clear();
    this.#reported.clear();
  }

  departed(id: NodeId): void {
    this.#reported.delete(id);
  }

  /** Measured load of each slot; all 0 where nothing was measured. */
  loads(group: string, slots: number): Float64Array {
    return this.#group(group, slots).estimate.loads;
  }

  reported(now: Instant, id: NodeId, report: SlotReport, tables: Tables): void {
    this.#reported.set(id, now);
    for (const { name, owners } of tables.groups) {
      const rates = report.groups.find((group) => group.name === name)?.rates ?? [];
      this.#group(name, owners.length).estimate.report((slot) => owners[slot] === id, rates);
    }
  }

  /** The moves of this round, one in each measured group at most. */
  round(
    now: Instant,
    tables: Tables,
    groups: readonly DesiredGroup[],
  ): (Move & { group: string })[] {
    this.#round += 1;
    for (const name of [...this.#groups.keys()]) {
      if (!tables.groups.some((group) => group.name === name)) this.#groups.delete(name);
    }
    return groups.flatMap((desired) => {
      const table = tables.groups.find(({ name }) => name === desired.name);
      if (table === undefined || desired.balance === "weights") return [];
      const move = this.#move(now, table, desired);
      return move === undefined ? [] : [{ ...move, group: desired.name }];
    });
  }

  #move(now: Instant, table: GroupTable, { name, nodes }: DesiredGroup): Move | undefined {
    const { estimate, moved } = this.#group(name, table.owners.length);
    estimate.fold();
    const serving = nodes.filter(({ serves }) => serves);
    if (!serving.every(({ id }) => this.#isKnown(now, id))) return undefined;
    const loads = weighed(estimate.loads, table.owners.length);
    const mayMove = (slot: number): boolean =>
      table.former[slot * FORMER_OWNERS + PLANNED_FORMER_OWNERS - 1] === NO_NODE &&
      this.#round - (moved.get(slot) ?? -REST_ROUNDS) >= REST_ROUNDS;
    const move = nextMove({ owners: table.owners, loads, serving, mayMove });
    if (move !== undefined) moved.set(move.slot, this.#round);
    return move;
  }

  #isKnown(now: Instant, id: NodeId): boolean {
    const at = this.#reported.get(id);
    return at !== undefined && elapsedMs(at, now) <= REPORT_LASTS_MS;
  }

  /** Anew when the group has another size. */
  #group(name: string, slots: number): Group {
    const known = this.#groups.get(name);
    if (known?.estimate.loads.length === slots) return known;
    const fresh: Group = { estimate: new LoadEstimate(slots), moved: new Map() };
    this.#groups.set(name, fresh);
    return fresh;
  }
}
