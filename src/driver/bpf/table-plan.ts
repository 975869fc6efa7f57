// Decides, before anything is written, where new tables go: which group keeps its slots and its counter, which gets
// new ones, which services vanish. Refuses what does not fit, so that a publish is never left half-way for that.
import { PanError } from "#base/error-codes.ts";
import type { GroupTable, Tables } from "#core/steering/tables.ts";
import { SERVICE_OTHER_PORT, SERVICE_ROUTED, SLOTS_PER_WORD } from "./abi.gen.ts";
import { ROUTED_KEY, serviceFlags, serviceKeyText, type ServiceEntry } from "./service-map.ts";
import { SlotRegions } from "./slot-regions.ts";

export interface Capacities {
  readonly slots: number;
  readonly services: number;
  readonly groups: number;
  readonly vips: number;
}

export interface PlannedGroup {
  readonly table: GroupTable;
  readonly entry: ServiceEntry;
  readonly keys: readonly string[];
  /** Its counter was another group's, or nobody's. */
  readonly fresh: boolean;
}

export interface TablePlan {
  readonly groups: readonly PlannedGroup[];
  /** Keys that the kernel has and the tables do not. */
  readonly vanished: readonly string[];
}

interface Claim {
  readonly table: GroupTable;
  readonly keys: readonly string[];
  /** What the kernel has for one of its services, if no other group has claimed it. */
  readonly kept: ServiceEntry | undefined;
}

/** Keys of each group; where two claim one service, the first has it (as in core/steering). */
function claimKeys(groups: readonly GroupTable[]): Map<GroupTable, string[]> {
  const claimed = new Set<string>();
  const keys = new Map<GroupTable, string[]>();
  for (const table of groups) {
    const routed = (serviceFlags(table) & SERVICE_ROUTED) !== 0;
    const wanted = routed ? [ROUTED_KEY] : table.services.map(serviceKeyText);
    const own = wanted.filter((key) => !claimed.has(key));
    for (const key of own) claimed.add(key);
    if (own.length > 0) keys.set(table, own);
  }
  return keys;
}

function claim(
  tables: Tables,
  present: ReadonlyMap<string, ServiceEntry>,
  regions: SlotRegions,
): Claim[] {
  const indexes = new Set<number>();
  return Array.from(claimKeys(tables.groups), ([table, keys]) => {
    const found = keys.map((key) => present.get(key)).find((entry) => entry !== undefined);
    const keeps = found !== undefined && !indexes.has(found.group);
    if (keeps) indexes.add(found.group);
    const stays = keeps && found.slots === table.owners.length && regions.take(found);
    const kept = keeps ? { ...found, base: stays ? found.base : -1 } : undefined;
    return { table, keys, kept };
  });
}

const tooLarge = (what: string, needed: number, capacity: number, setting: string): PanError =>
  new PanError(
    "PAN_TABLES_CAPACITY",
    `The tables have ${needed} ${what}, and the packet program was loaded for ${capacity}. Raise ${setting} and restart the agent.`,
  );

function checkSizes(tables: Tables, claims: readonly Claim[], capacities: Capacities): void {
  const services = claims.reduce((sum, { keys }) => sum + keys.length, 0);
  if (services > capacities.services) {
    throw tooLarge("services", services, capacities.services, "serviceCapacity");
  }
  if (claims.length > capacities.groups) {
    throw tooLarge("service groups", claims.length, capacities.groups, "groupCapacity");
  }
  if (tables.vips.length > capacities.vips) {
    throw tooLarge("virtual addresses", tables.vips.length, capacities.vips, "serviceCapacity");
  }
}

/** Regions that running packets may still be looking at: those of services that stay, but elsewhere. */
function holdMoving(
  claims: readonly Claim[],
  present: ReadonlyMap<string, ServiceEntry>,
  regions: SlotRegions,
): void {
  for (const { keys } of claims) {
    for (const key of keys) {
      const entry = present.get(key);
      // overlapping means that it is held already
      if (entry !== undefined) regions.take(entry);
    }
  }
}

/** By name of a group: the port on which this node serves its TCP services, where that is another than theirs. */
export type OtherPorts = ReadonlyMap<string, number>;

/** PAN_TABLES_CAPACITY when the tables do not fit. */
export function planTables(
  tables: Tables,
  present: ReadonlyMap<string, ServiceEntry>,
  capacities: Capacities,
  otherPorts: OtherPorts = new Map(),
): TablePlan {
  const regions = new SlotRegions(capacities.slots, SLOTS_PER_WORD);
  const claims = claim(tables, present, regions);
  checkSizes(tables, claims, capacities);
  holdMoving(claims, present, regions);
  const used = new Set(claims.flatMap(({ kept }) => (kept === undefined ? [] : [kept.group])));
  let nextIndex = 0;
  const freeIndex = (): number => {
    while (used.has(nextIndex)) nextIndex++;
    return nextIndex++;
  };
  const groups = claims.map(({ table, keys, kept }): PlannedGroup => {
    const slots = table.owners.length;
    const base = kept !== undefined && kept.base >= 0 ? kept.base : regions.allocate(slots)?.base;
    if (base === undefined) {
      const needed = claims.reduce((sum, each) => sum + each.table.owners.length, 0);
      throw tooLarge("slots", needed, capacities.slots, "datapath.slotCapacity");
    }
    const group = kept?.group ?? freeIndex();
    const elsewhere = otherPorts.has(table.name) ? SERVICE_OTHER_PORT : 0;
    const entry = { base, slots, group, flags: serviceFlags(table) | elsewhere };
    return { table, entry, keys, fresh: kept === undefined };
  });
  const wanted = new Set(groups.flatMap(({ keys }) => keys));
  return { groups, vanished: [...present.keys()].filter((key) => !wanted.has(key)) };
}
