// What this node tells the master about slots and connections every two seconds, and soon after tables have moved its slots (A8, B4): the
// measured load of those that it serves, where a group is balanced by load; its connections in slots of others, and those of its
// exceptions that have ended; and the slots about which it needs not be asked any more.
import type { Measure } from "#base/assignment.ts";
import { compareVersions, type NodeId, type TableVersion } from "#base/ids.ts";
import { instant } from "#base/time.ts";
import { FormerSlots, type Connection, type UnusedSlots } from "#core/steering/former-slots.ts";
import type { Tables } from "#core/steering/tables.ts";
import { boundedFlowReport, type FlowReport } from "#wire/control/flow-report.ts";
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

/** What is absent there is nothing to say about. */
export interface Reports {
  readonly slots?: SlotReport;
  readonly flows?: FlowReport;
}

const NOTHING: ReadonlyMap<string, Measure> = new Map();

export class SlotReports {
  readonly #options: SlotReportsOptions;
  readonly #former: FormerSlots;
  #readAtMs: number | undefined;

  constructor(options: SlotReportsOptions) {
    this.#options = options;
    this.#former = new FormerSlots(options.self);
  }

  /** Whether these tables ask this node about connections of slots that it owned once. */
  isAsked(tables: Tables): boolean {
    return this.#former.isAsked(tables);
  }

  /** @param isRound two seconds after the last one: loads are read as well */
  next(nowMs: number, isRound: boolean): Reports {
    const { tables, version } = this.#options;
    const known = tables();
    // what the kernel refused is not what this node goes by
    if (known === undefined || compareVersions(known.version, version()) !== 0) return {};
    const measured = isRound ? this.#options.measured() : NOTHING;
    const rates = this.#rates(nowMs, measured);
    const { unused, established, ended } = this.#former.look(
      instant(nowMs),
      known,
      this.#options.connections,
    );
    // a report without loads would say that there are none
    const isSilent = !isRound || (measured.size === 0 && unused.length === 0);
    const flows = { tables: known.version, established, ended };
    return {
      ...(isSilent ? {} : { slots: this.#slotReport(known, rates, unused) }),
      ...(established.length + ended.length === 0 ? {} : { flows: boundedFlowReport(flows) }),
    };
  }

  #slotReport(
    known: Tables,
    rates: ReadonlyMap<string, SlotRate[]>,
    unused: readonly UnusedSlots[],
  ): SlotReport {
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
