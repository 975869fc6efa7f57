// How the exceptions of one version of the tables follow from those of the one before (B4, docs/adr/0016): connections that their nodes
// have reported are pinned, those that have ended go, and so do those of nodes that cannot be reached. Bounded: what does not fit
// is refused and counted, and stays in its slot's chain.
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { flowEnds, flowPrint, type FlowKey } from "#wire/flow-key.ts";
import { portWord } from "./discriminator.ts";
import { slotOf } from "./hash.ts";
import { indexTables, type IndexedTables } from "./indexed-tables.ts";
import { flags } from "./ownership.ts";
import {
  isRouted,
  MAX_EXCEPTIONS,
  NO_EXCEPTIONS,
  type Exceptions,
  type GroupTable,
  type Tables,
} from "./tables.ts";

/** Whom a flow is to be pinned to; NO_NODE: it has ended. */
export type FlowChanges = ReadonlyMap<FlowKey, NodeId>;

export interface Pinned {
  readonly tables: Tables;
  /** Flows for which there was no room. */
  readonly refused: number;
}

interface Entry {
  readonly flow: FlowKey;
  readonly node: number;
  readonly slot: number;
}

/** Where a flow belongs by these tables; undefined: it is of no service that has connections. */
export function placeOf(
  tables: IndexedTables,
  flow: FlowKey,
): { readonly group: GroupTable; readonly slot: number } | undefined {
  const ends = flowEnds(flow);
  const group = tables.groupOf(ends.protocol, ends.destination, ends.destinationPort);
  if (group === undefined || isRouted(group.policy)) return undefined;
  const input = { ...ends, discriminator: portWord(ends.sourcePort) };
  return { group, slot: slotOf(tables, group.policy, input, group.owners.length) };
}

const entriesOf = ({ flows, nodes, slots }: Exceptions): Entry[] =>
  flows.map((flow, index) => ({ flow, node: nodes[index] ?? 0, slot: slots[index] ?? 0 }));

function exceptionsOf(entries: readonly Entry[]): Exceptions {
  if (entries.length === 0) return NO_EXCEPTIONS;
  return {
    flows: entries.map(({ flow }) => flow),
    nodes: Uint16Array.from(entries, ({ node }) => node),
    slots: Uint16Array.from(entries, ({ slot }) => slot),
  };
}

export const countExceptions = ({ groups }: Tables): number =>
  groups.reduce((sum, { exceptions }) => sum + exceptions.flows.length, 0);

/** Whether a flow that belonged to a slot of `before` may belong to another one of `now`. */
const isPlacedAnew = (before: Tables, old: GroupTable, now: Tables, group: GroupTable): boolean =>
  before.hash !== now.hash ||
  old.policy !== group.policy ||
  old.owners.length !== group.owners.length ||
  old.services.length !== group.services.length ||
  JSON.stringify(old.services) !== JSON.stringify(group.services);

/** Without those that have ended, whose node is not there any more, or that are not of this group any more. */
function kept(
  entries: readonly Entry[],
  { ended, reachable }: { readonly ended: FlowChanges; readonly reachable: Uint8Array },
): readonly Entry[] {
  const isGone = ({ flow, node }: Entry): boolean =>
    reachable[node] !== 1 || ended.get(flow) === NO_NODE;
  return entries.some(isGone) ? entries.filter((entry) => !isGone(entry)) : entries;
}

/** Those of `before` that stay, by the groups of `now`. */
function carried(before: Tables | undefined, now: Tables, changes: FlowChanges): Entry[][] {
  const reachable = flags(now.nodes.map(({ id }) => id));
  let index: IndexedTables | undefined;
  return now.groups.map((group) => {
    const old = before?.groups.find(({ name }) => name === group.name);
    if (before === undefined || old === undefined || old.exceptions.flows.length === 0) return [];
    const entries = kept(entriesOf(old.exceptions), { ended: changes, reachable });
    if (!isPlacedAnew(before, old, now, group)) return [...entries];
    const indexed = (index ??= indexTables(now));
    return entries.flatMap(({ flow, node }) => {
      const place = placeOf(indexed, flow);
      return place?.group === group ? [{ flow, node, slot: place.slot }] : [];
    });
  });
}

/** Both ascend by flow. */
function merged(entries: readonly Entry[], added: Entry[]): Entry[] {
  added.sort((a, b) => (a.flow < b.flow ? -1 : 1));
  const result: Entry[] = [];
  let at = 0;
  for (const entry of added) {
    for (let next = entries[at]; next !== undefined && next.flow < entry.flow;) {
      result.push(next);
      next = entries[++at];
    }
    result.push(entry);
  }
  return [...result, ...entries.slice(at)];
}

/** Adds to `groups` what is to be pinned and is not yet; answers how many there was no room for. */
function pin(groups: Entry[][], now: Tables, changes: FlowChanges): number {
  const [indexed, reachable] = [indexTables(now), flags(now.nodes.map(({ id }) => id))];
  const present = new Set(groups.flatMap((entries) => entries.map(({ flow }) => flow)));
  // the packet program cannot tell two flows with the same print apart
  const printOf = (flow: FlowKey): number => flowPrint(now.hashKey, flow).print;
  const prints = new Set([...present].map(printOf));
  const added = groups.map((): Entry[] => []);
  let refused = 0;
  for (const [flow, node] of changes) {
    // who has it already keeps it: a late SYN can open it a second time elsewhere, but never to an end
    if (node === NO_NODE || reachable[node] !== 1 || present.has(flow)) continue;
    const place = placeOf(indexed, flow);
    const group = place === undefined ? -1 : now.groups.indexOf(place.group);
    if (place === undefined || group === -1) continue;
    if (prints.size >= MAX_EXCEPTIONS || prints.has(printOf(flow))) {
      refused += 1;
      continue;
    }
    prints.add(printOf(flow));
    added[group]?.push({ flow, node, slot: place.slot });
  }
  for (const [index, entries] of added.entries()) {
    if (entries.length > 0) groups[index] = merged(groups[index] ?? [], entries);
  }
  return refused;
}

/** The groups of `now` with the exceptions of `before` as they are; undefined: some of these go, or others come. */
function unchanged(
  before: Tables | undefined,
  now: Tables,
  changes: FlowChanges,
): GroupTable[] | undefined {
  if (before === undefined || changes.size > 0) return undefined;
  const reachable = flags(now.nodes.map(({ id }) => id));
  const groups: GroupTable[] = [];
  for (const group of now.groups) {
    const old = before.groups.find(({ name }) => name === group.name);
    const exceptions = old?.exceptions ?? NO_EXCEPTIONS;
    const stays =
      old === undefined ||
      (!isPlacedAnew(before, old, now, group) &&
        exceptions.nodes.every((node) => reachable[node] === 1));
    if (!stays) return undefined;
    groups.push(group.exceptions === exceptions ? group : { ...group, exceptions });
  }
  return groups;
}

/** `now` with the exceptions that follow from those of `before`. What does not change stays the same object. */
export function withExceptions(
  before: Tables | undefined,
  now: Tables,
  changes: FlowChanges,
): Pinned {
  const isBare = changes.size === 0 && (before === undefined || countExceptions(before) === 0);
  if (isBare && countExceptions(now) === 0) return { tables: now, refused: 0 };
  const same = unchanged(before, now, changes);
  if (same !== undefined) return { tables: { ...now, groups: same }, refused: 0 };
  const entries = carried(before, now, changes);
  const pins = [...changes.values()].some((node) => node !== NO_NODE);
  const refused = pins ? pin(entries, now, changes) : 0;
  const groups = now.groups.map((group, index) => ({
    ...group,
    exceptions: exceptionsOf(entries[index] ?? []),
  }));
  return { tables: { ...now, groups }, refused };
}
