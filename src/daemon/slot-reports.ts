// What this node tells the master about slots every two seconds (A8, B4): the measured load of those that it serves, where a group is
// balanced by load, and the ones that it owned before and in which its kernel has no connection left.
import type { Measure } from "#base/assignment.ts";
import { compareVersions, type NodeId, type TableVersion } from "#base/ids.ts";
import { FormerSlots, type Connection } from "#core/steering/former-slots.ts";
import type { Tables } from "#core/steering/tables.ts";
import {
  boundedReport,
  type GroupReport,
  type SlotRate,
  type SlotReport,
} from "#wire/control/slot-report.ts";

/** Of one group, by slot: since the last reading. */
export interface MeasuredSlots {
  readonly packets: Float64Array;
  readonly bytes: Float64Array;
}

export interface SlotReportsOptions {
  readonly self: NodeId;
  /** The newest tables known here. */
  readonly tables: () => Tables | undefined;
  /** Of the tables that the packet program goes by. */
  readonly version: () => TableVersion;
  /** Groups that are balanced by measured load. */
  readonly measured: () => ReadonlyMap<string, Measure>;
  readonly readLoads: () => ReadonlyMap<string, MeasuredSlots>;
  readonly connections: () => readonly Connection[];
}

export class SlotReports {
  readonly #options: SlotReportsOptions;
  readonly #former: FormerSlots;
  #readAtMs: number | undefined;

  constructor(options: SlotReportsOptions) {
    this.#options = options;
    this.#former = new FormerSlots(options.self);
  }

  /** Undefined: there is nothing to say. */
  next(nowMs: number): SlotReport | undefined {
    const { tables, version } = this.#options;
    const known = tables();
    // what the kernel refused is not what this node goes by
    if (known === undefined || compareVersions(known.version, version()) !== 0) return undefined;
    const measured = this.#options.measured();
    const rates = this.#rates(nowMs, measured);
    const unused = this.#former.look(known, this.#options.connections);
    if (measured.size === 0 && unused.length === 0) return undefined;
    const groups = known.groups.map(({ name }): GroupReport => ({
      name,
      rates: rates.get(name) ?? [],
      unused: unused.find((group) => group.name === name)?.unused ?? [],
    }));
    return boundedReport({
      tables: known.version,
      groups: groups.filter((group) => group.rates.length + group.unused.length > 0),
    });
  }

  #rates(nowMs: number, measured: ReadonlyMap<string, Measure>): Map<string, SlotRate[]> {
    const result = new Map<string, SlotRate[]>();
    if (measured.size === 0) return result;
    const seconds = this.#readAtMs === undefined ? 0 : (nowMs - this.#readAtMs) / 1000;
    this.#readAtMs = nowMs;
    const loads = this.#options.readLoads();
    if (seconds <= 0) return result; // what was counted before says nothing about how fast
    for (const [name, measure] of measured) {
      const counts = loads.get(name)?.[measure] ?? new Float64Array();
      const rates = Array.from(counts, (count, slot) => ({ slot, rate: count / seconds }));
      result.set(
        name,
        rates.filter(({ rate }) => rate >= 0.5),
      );
    }
    return result;
  }
}
