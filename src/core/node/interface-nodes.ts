// Who answers for which VIP in the tables that a master publishes (B10, docs/adr/0025), and what follows for the order in which members
// hear of tables: an interface node sends frames by them as soon as it has them, so it hears of moved slots after the others.
//
// Not here: who should have what, and in which steps it gets there (core/steering/vip-holders.ts).
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import type { View } from "#core/membership/types.ts";
import type { Tables } from "#core/steering/tables.ts";
import {
  holdersOf,
  stepHolders,
  uncertainAfter,
  wantedHolders,
  type DesiredHolders,
  type HolderRules,
  type RankedVip,
  type Uncertain,
} from "#core/steering/vip-holders.ts";
import type { ClusterSpec } from "./cluster-spec.ts";

/** Who may hold VIPs, as the master or, for what operators are shown, any member sees it. */
export function desiredHolders(
  { vips, drained, interfaceNodes }: ClusterSpec,
  self: NodeId,
  serves: (id: NodeId) => boolean,
): DesiredHolders | undefined {
  if (interfaceNodes === undefined) return undefined;
  const { nodes, ranked, stays = false } = interfaceNodes;
  const all = nodes.map((node) => ({ ...node, serves: serves(node.id) }));
  const willing = all.map((node) => ({
    ...node,
    serves: node.serves && !drained.includes(node.id),
  }));
  // where all are drained, connections that they still have must be reached
  const isNobody = !willing.some(({ serves: does }) => does);
  return { vips, ranked, stays, nodes: isNobody ? all : willing, fallback: self };
}

export interface HolderFacts extends Pick<
  HolderRules,
  "behind" | "released" | "mayLetGo" | "isNew"
> {
  readonly view: View;
  readonly spec: ClusterSpec;
  readonly ready: ReadonlySet<NodeId>;
}

const NOTHING: Uncertain = new Map();

const listsOf = (ranked: readonly RankedVip[]): ReadonlyMap<IpAddress, string> =>
  new Map(ranked.map(({ vip, nodes }) => [vip, nodes.join()]));

export class InterfaceNodes {
  readonly #self: NodeId;
  #uncertain: Uncertain = NOTHING;
  #wasHeir = false;
  /** The lists of VIPs by which the last tables were made, as text; undefined: this node has not made or got any since its start. */
  #lists: ReadonlyMap<IpAddress, string> | undefined;

  constructor(self: NodeId) {
    this.#self = self;
  }

  /** @param wasHeir whether this node was to be master next */
  becomeMaster(wasHeir: boolean): void {
    this.#uncertain = NOTHING;
    this.#wasHeir = wasHeir;
  }

  /** The master's tables, at a member: whatever list comes after them, a master that dies just then has not gone by. */
  adopted({ interfaceNodes }: ClusterSpec): void {
    this.#lists = listsOf(interfaceNodes?.ranked ?? []);
  }

  /** Those that have another list than when the last tables were made. */
  #relisted({ ranked }: DesiredHolders): Set<IpAddress> {
    const lists = this.#lists;
    const isNews = ({ vip, nodes }: RankedVip): boolean => lists?.get(vip) !== nodes.join();
    return new Set(lists === undefined ? [] : ranked.filter(isNews).map(({ vip }) => vip));
  }

  /** `next`, with the next step of the holders from those of `before`. */
  placed(before: Tables | undefined, next: Tables, facts: HolderFacts): Tables {
    const { view, spec, ready, behind } = facts;
    const members = new Set(view.members.map(({ id }) => id));
    const serves = (id: NodeId): boolean => ready.has(id) && members.has(id) && !behind.has(id);
    // where every member receives every frame, it does not matter who answers
    const isSpread = next.delivery.method === "forward";
    const desired = isSpread ? desiredHolders(spec, this.#self, serves) : undefined;
    if (desired === undefined && before?.vipHolders === undefined) return next;
    const known: Pick<Tables, "vips" | "vipHolders"> = before ?? { vips: [] };
    const present = holdersOf(known, this.#self);
    const own = { holder: this.#self, home: this.#self };
    const wanted =
      desired === undefined
        ? new Map(next.vips.map((vip) => [vip, own] as const))
        : wantedHolders(present, { ...desired, relisted: this.#relisted(desired) });
    this.#lists = listsOf(desired?.ranked ?? []);
    const rules: HolderRules = {
      ...facts,
      self: this.#self,
      members,
      frozen: behind.has(view.secondary),
      // a master that had all of them is the only one that answers
      wasHeir: this.#wasHeir || known.vipHolders === undefined,
      uncertain: this.#uncertain,
    };
    const vipHolders = stepHolders(present, wanted, next.vips, rules);
    const isOver =
      desired === undefined && vipHolders.holders.every((holder) => holder === this.#self);
    return isOver ? next : { ...next, vipHolders };
  }

  /** These tables are published after those. */
  published(before: Tables | undefined, tables: Tables, isNew: boolean): void {
    if (tables.vipHolders === undefined) {
      this.#uncertain = NOTHING;
      return;
    }
    const present = holdersOf(before ?? { vips: [] }, this.#self);
    const now = holdersOf(tables, this.#self);
    this.#uncertain = uncertainAfter(present, now, { uncertain: this.#uncertain, isNew });
  }

  /** Who sends clients' frames by these tables or those before, beside this node. */
  others(...tables: readonly (Tables | undefined)[]): Set<NodeId> {
    const holders = new Set(tables.flatMap((each) => each?.vipHolders?.holders ?? []));
    holders.delete(this.#self);
    return holders;
  }
}
