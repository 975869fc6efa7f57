// Which node answers for which VIP (B10, docs/adr/0025): who should, and in which steps it comes to that. VIPs are spread as slots are
// (weighted-ownership.ts): even shares by weight, as little moved as possible, and a node that returns gets its own back. A VIP may
// instead have a list of nodes of its own, of which the first that serves has it. Where VIPs are to stay (`stays`), nothing goes back to a
// node that returns: a VIP's home is then the node that it last came to, and it leaves it only when that does not serve.
//
// Two nodes must never answer for one VIP. So a VIP of a living member moves in two versions of the tables: first nobody has it, and
// only when its holder, and the member that would be master next, have acknowledged that, the new holder gets it.
import type { IpAddress } from "#base/address.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { DesiredNode } from "./next-tables.ts";
import type { Tables, VipHolders } from "./tables.ts";
import { nextHome, nextOwners, stayingOwners } from "./weighted-ownership.ts";

export interface RankedVip {
  readonly vip: IpAddress;
  /** Best first. */
  readonly nodes: readonly NodeId[];
}

export interface DesiredHolders {
  readonly vips: readonly IpAddress[];
  /** Share of the VIPs by weight; a node with weight 0 has a VIP only by a list, or where there is nobody else. */
  readonly nodes: readonly DesiredNode[];
  readonly ranked: readonly RankedVip[];
  /** A VIP does not leave a node that serves for one that returns. */
  readonly stays?: boolean;
  /** VIPs that an operator has just given another list: they go by it. */
  readonly relisted?: ReadonlySet<IpAddress>;
  /** Has what nobody else can have. */
  readonly fallback: NodeId;
}

interface Place {
  readonly holder: NodeId;
  readonly home: NodeId;
}

export type HolderTable = ReadonlyMap<IpAddress, Place>;

const NOWHERE: Place = { holder: NO_NODE, home: NO_NODE };

/** By VIP. Where tables say nothing about it, all VIPs are the master's. */
export function holdersOf(
  tables: Pick<Tables, "vips" | "vipHolders">,
  master: NodeId,
): HolderTable {
  const { vips, vipHolders } = tables;
  return new Map(
    vips.map((vip, index) => {
      if (vipHolders === undefined) return [vip, { holder: master, home: NO_NODE }];
      const { holders, homes } = vipHolders;
      return [vip, { holder: holders[index] ?? NO_NODE, home: homes[index] ?? NO_NODE }];
    }),
  );
}

const columnOf = (
  vips: readonly IpAddress[],
  before: HolderTable,
  field: keyof Place,
): Uint16Array => Uint16Array.from(vips, (vip) => (before.get(vip) ?? NOWHERE)[field]);

/** Who should answer for each VIP. The same again changes nothing. */
export function wantedHolders(before: HolderTable, desired: DesiredHolders): HolderTable {
  const { vips, nodes, ranked, fallback, stays = false } = desired;
  const lists = new Map(ranked.map((each) => [each.vip, each.nodes]));
  const spread = vips.filter((vip) => !lists.has(vip));
  const serving = nodes.filter(({ serves }) => serves);
  const known = columnOf(spread, before, "home");
  const homes = stays ? stayingOwners(known, serving) : nextHome(known, nodes);
  const owners = stays ? homes : nextOwners(homes, columnOf(spread, before, "holder"), serving);
  const wanted = new Map<IpAddress, Place>();
  for (const [index, vip] of spread.entries()) {
    const holder = (owners[index] || fallback) as NodeId;
    wanted.set(vip, { holder, home: (homes[index] ?? NO_NODE) as NodeId });
  }
  for (const [vip, list] of lists) {
    if (!vips.includes(vip)) continue;
    const { holder: present, home } = before.get(vip) ?? NOWHERE;
    const remains = stays && desired.relisted?.has(vip) !== true && list.includes(home);
    const choosing = { serving, present, wanted };
    const holder = firstOf(remains ? [home, ...list] : list, choosing) ?? fallback;
    wanted.set(vip, { holder, home: stays ? holder : (list[0] ?? NO_NODE) });
  }
  return wanted;
}

interface Choosing {
  readonly serving: readonly DesiredNode[];
  readonly present: NodeId;
  readonly wanted: HolderTable;
}

/** The first of the list that serves; where none does, whoever has it, and otherwise whoever has fewest. */
function firstOf(
  list: readonly NodeId[],
  { serving, present, wanted }: Choosing,
): NodeId | undefined {
  const serves = (id: NodeId): boolean => serving.some((node) => node.id === id);
  const listed = list.find(serves);
  if (listed !== undefined) return listed;
  if (serves(present)) return present;
  const counts = new Map<NodeId, number>();
  for (const { holder } of wanted.values()) counts.set(holder, (counts.get(holder) ?? 0) + 1);
  const weighty = serving.filter(({ weight }) => weight > 0);
  const able = weighty.length > 0 ? weighty : serving;
  return able
    .map(({ id }) => ({ id, count: counts.get(id) ?? 0 }))
    .sort((a, b) => a.count - b.count || a.id - b.id)[0]?.id;
}

/**
 * Of each VIP, who would have it if its holder died, and then that one, and so on; at most `limit` of them. Costs a computation of all
 * holders for each row of deaths that differs.
 */
export function rankedBackups(
  before: HolderTable,
  desired: DesiredHolders,
  limit: number,
): ReadonlyMap<IpAddress, readonly NodeId[]> {
  const known = new Map<string, HolderTable>();
  const without = (now: HolderTable, dead: readonly NodeId[]): HolderTable => {
    const key = dead.join();
    const nodes = desired.nodes.map((node) =>
      dead.includes(node.id) ? { ...node, serves: false } : node,
    );
    const then = known.get(key) ?? wantedHolders(now, { ...desired, nodes, fallback: NO_NODE });
    known.set(key, then);
    return then;
  };
  return new Map(desired.vips.map((vip) => [vip, backupsOf(vip, before, { without, limit })]));
}

interface Deaths {
  readonly without: (now: HolderTable, dead: readonly NodeId[]) => HolderTable;
  readonly limit: number;
}

function backupsOf(vip: IpAddress, before: HolderTable, { without, limit }: Deaths): NodeId[] {
  const dead: NodeId[] = [];
  let now = before;
  while (dead.length <= limit) {
    const { holder } = now.get(vip) ?? NOWHERE;
    if (holder === NO_NODE || dead.includes(holder)) break;
    dead.push(holder);
    if (dead.length <= limit) now = without(now, dead);
  }
  return dead.slice(1);
}

/** Who may still answer for a VIP that nobody has by the tables: its last holder, or any member. */
export type Uncertain = ReadonlyMap<IpAddress, NodeId | "anybody">;

export interface HolderRules {
  readonly self: NodeId;
  readonly members: ReadonlySet<NodeId>;
  /** Members that did not acknowledge in time. */
  readonly behind: ReadonlySet<NodeId>;
  /** The member that would be master next is one of them. */
  readonly frozen: boolean;
  /** The wait for acknowledgements has ended. */
  readonly released: boolean;
  /** VIPs of living members may be taken from them. */
  readonly mayLetGo: boolean;
  /** This node has just become master: what dead nodes had is its own at first, since it is the only one that knows at once. */
  readonly isNew: boolean;
  /** It was the one that was to be master next, so nothing was given to anybody that it does not know of. */
  readonly wasHeir: boolean;
  readonly uncertain: Uncertain;
}

/** @param before undefined: the VIP is new */
function nextHolder(
  vip: IpAddress,
  before: NodeId | undefined,
  wanted: NodeId,
  rules: HolderRules,
): NodeId {
  if (before === undefined) return wanted;
  // the master before may have given it to somebody else, of whom this node has not heard
  if (rules.isNew && !rules.wasHeir) return NO_NODE;
  if (before === NO_NODE) return openHolder(vip, wanted, rules);
  if (!rules.members.has(before)) return rules.isNew ? rules.self : wanted;
  const stays = !rules.mayLetGo || rules.frozen || rules.behind.has(before);
  return stays || before === wanted ? before : NO_NODE;
}

function openHolder(vip: IpAddress, wanted: NodeId, rules: HolderRules): NodeId {
  const last = rules.uncertain.get(vip);
  if (last === undefined) return rules.isNew ? NO_NODE : wanted;
  if (!rules.released) return NO_NODE;
  if (last === "anybody") return rules.behind.size > 0 ? NO_NODE : wanted;
  const mayStillAnswer = rules.behind.has(last) && rules.members.has(last);
  return mayStillAnswer || (rules.frozen && rules.members.has(last)) ? last : wanted;
}

/** The next step from the holders that are published to those that are wanted. */
export function stepHolders(
  before: HolderTable,
  wanted: HolderTable,
  vips: readonly IpAddress[],
  rules: HolderRules,
): VipHolders {
  const places = vips.map((vip) => ({ vip, ...(wanted.get(vip) ?? NOWHERE) }));
  return {
    holders: places.map(({ vip, holder }) =>
      nextHolder(vip, before.get(vip)?.holder, holder, rules),
    ),
    homes: places.map(({ home }) => home),
  };
}

/** What is uncertain once these holders are published. */
export function uncertainAfter(
  before: HolderTable,
  now: HolderTable,
  { uncertain, isNew }: Pick<HolderRules, "uncertain" | "isNew">,
): Uncertain {
  const result = new Map<IpAddress, NodeId | "anybody">();
  for (const [vip, { holder }] of now) {
    if (holder !== NO_NODE) continue;
    const last = before.get(vip)?.holder ?? NO_NODE;
    const known = isNew ? "anybody" : last === NO_NODE ? uncertain.get(vip) : last;
    if (known !== undefined) result.set(vip, known);
  }
  return result;
}
