// What an operator is told of membership and tables, with its cause: differences between how things stood and how they stand, judged by
// what this node knows: who left and why, who is drained, whose health is bad, what the configuration changed.
//
// The cause of a moved slot is a conclusion, so it is the same on every node and needs no word on the wire. It is drawn from the slot's
// two owners first: an owner that is gone, drained or ill explains the move; then a new owner that has just come; and only then what
// happened to the group last. An earlier change that is brought to its end in a later version keeps its cause that way.
//
// Not here: names, time of day, words (src/daemon/events); what applications are told (chronicle.ts).
import { NO_NODE, type NodeId } from "#base/ids.ts";
import type { Departure, Member, Role, View } from "#core/membership/types.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "#core/steering/tables.ts";
import { Chronicle } from "./chronicle.ts";
import type { ClusterSpec, GroupSpec } from "./cluster-spec.ts";
import { type VipMove, VipMoves } from "./vip-moves.ts";

export type MoveCause =
  | "death"
  | "departure"
  | "drain"
  | "health"
  | "join"
  | "undrain"
  | "weight"
  | "balancing"
  | "demand"
  | "other";
export type TablesCause = MoveCause | "services" | "delivery" | "succession" | "members";

/** Slots of one group that went from one node to another for one reason. 0: no node. */
export interface SlotMove {
  readonly group: string;
  readonly from: NodeId;
  readonly to: NodeId;
  readonly slots: number;
  readonly cause: MoveCause;
}

export interface TablesChange {
  readonly cause: TablesCause;
  readonly moved: number;
  /** Largest first. */
  readonly moves: readonly SlotMove[];
}

export type ElectionCause = "founded" | "joined" | "succession" | "contest";
export type DepositionCause = "contest" | Departure | "unknown";

export type Recorded =
  | { readonly type: "role-changed"; readonly role: Role; readonly before: Role | undefined }
  | {
      readonly type: "master-deposed";
      readonly master: NodeId;
      readonly by: NodeId;
      readonly cause: DepositionCause;
    }
  | {
      readonly type: "master-elected";
      readonly master: NodeId;
      readonly epoch: number;
      readonly before: NodeId;
      readonly cause: ElectionCause;
    }
  | { readonly type: "member-joined"; readonly member: Member }
  | {
      readonly type: "member-left";
      readonly member: Member;
      readonly cause: Departure | "unknown";
    };

/** Causes that a node brings along when it begins to serve. */
type Arrival = "join" | "undrain" | "health";

export class Annals {
  readonly #self: NodeId;
  readonly #chronicle: Chronicle;
  #spec: ClusterSpec;
  #view: View | undefined;
  /** Why members left that have not come back; no more than there are node ids. */
  readonly #gone = new Map<NodeId, Departure | "unknown">();
  /** By which change each node last began to serve. */
  readonly #arrivals = new Map<NodeId, Arrival>();
  /** By group: nodes whose checks fail there. */
  readonly #ill = new Map<string, Set<NodeId>>();
  /** What happened to each group last, for moves that their owners do not explain. */
  readonly #last = new Map<string, MoveCause>();
  #lostTo: NodeId = NO_NODE;
  readonly #vipMoves = new VipMoves();

  constructor(self: NodeId, spec: ClusterSpec) {
    this.#self = self;
    this.#chronicle = new Chronicle(self);
    this.#spec = spec;
  }

  /** The master knows the reason before the list changes. */
  departing(id: NodeId, reason: Departure): void {
    this.#chronicle.departing(id, reason);
    this.#gone.set(id, reason);
  }

  /** This node gives way to another master (A5); the view follows. */
  lostMastership(to: NodeId): void {
    this.#lostTo = to;
  }

  healthChanged(group: string, id: NodeId, healthy: boolean): void {
    const ill = this.#ill.get(group) ?? new Set();
    this.#ill.set(group, ill);
    if (healthy) ill.delete(id);
    else ill.add(id);
    if (healthy) this.#arrived(id, "health");
    this.#last.set(group, "health");
  }

  viewChanged(view: View): Recorded[] {
    const before = this.#view;
    this.#view = view;
    const news = this.#chronicle.viewChanged(view);
    const members: Recorded[] = [];
    for (const each of news) {
      if (each.type === "member-joined") {
        this.#gone.delete(each.member.id);
        this.#arrived(each.member.id, "join");
        members.push(each);
      }
      if (each.type === "member-left") {
        const { type, member, reason } = each;
        if (!this.#gone.has(member.id)) this.#gone.set(member.id, reason);
        members.push({ type, member, cause: reason });
      }
    }
    return [...this.#roles(before, view), ...members];
  }

  specChanged(spec: ClusterSpec): void {
    const before = this.#spec;
    this.#spec = spec;
    this.#vipMoves.specChanged(before, spec);
    for (const { id } of spec.groups.flatMap(({ nodes }) => nodes)) {
      if (before.drained.includes(id) && !spec.drained.includes(id)) this.#arrived(id, "undrain");
    }
    const names = new Set(spec.groups.map(({ name }) => name));
    for (const name of this.#last.keys()) if (!names.has(name)) this.#last.delete(name);
    for (const name of this.#ill.keys()) if (!names.has(name)) this.#ill.delete(name);
    for (const group of spec.groups) {
      const old = before.groups.find(({ name }) => name === group.name);
      if (old !== undefined && !sameWeights(old, group)) this.#last.set(group.name, "weight");
    }
  }

  /** What tables changed, by what this node knows now. `before`: undefined where there were none. */
  tablesChanged(before: Tables | undefined, after: Tables): TablesChange {
    const known = new Map((before?.groups ?? []).map((group) => [group.name, group]));
    const moves = after.groups
      .flatMap((group) => this.#moves(known.get(group.name), group))
      .sort((a, b) => b.slots - a.slots);
    const moved = moves.reduce((sum, { slots }) => sum + slots, 0);
    return { cause: causeOf(moves) ?? withoutMoves(before, after), moved, moves };
  }

  /** B10: these tables are in force here now. */
  vipsMoved(tables: Tables): VipMove[] {
    return this.#vipMoves.installed(tables, (from) => this.#loss(from));
  }

  /** Why a node serves nothing any more, or takes nothing new. */
  #loss(id: NodeId): "death" | "departure" | "drain" | undefined {
    const isMember = this.#view?.members.some((member) => member.id === id) === true;
    if (!isMember) return this.#gone.get(id) === "silent" ? "death" : "departure";
    return this.#spec.drained.includes(id) ? "drain" : undefined;
  }

  #arrived(id: NodeId, how: Arrival): void {
    this.#arrivals.set(id, how);
    if (how !== "health") this.#vipMoves.arrived(how);
    for (const { name, nodes } of this.#spec.groups) {
      if (nodes.some((node) => node.id === id)) this.#last.set(name, how);
    }
  }

  #roles(before: View | undefined, view: View): Recorded[] {
    const recorded: Recorded[] = [];
    if (before?.role !== view.role) {
      recorded.push({ type: "role-changed", role: view.role, before: before?.role });
    }
    const old = before?.master ?? NO_NODE;
    if (old === view.master) return recorded;
    if (old !== NO_NODE) {
      const cause = this.#deposition(old, view);
      const by = view.master === NO_NODE && cause === "contest" ? this.#lostTo : view.master;
      recorded.push({ type: "master-deposed", master: old, by, cause });
    }
    if (view.master !== NO_NODE) {
      const { master, epoch } = view;
      const cause = this.#election(old, view);
      recorded.push({ type: "master-elected", master, epoch, before: old, cause });
      this.#lostTo = NO_NODE;
    }
    return recorded;
  }

  #deposition(old: NodeId, view: View): DepositionCause {
    if (old === this.#self) return this.#lostTo === NO_NODE ? "unknown" : "contest";
    if (view.members.some(({ id }) => id === old)) return "contest";
    return this.#gone.get(old) ?? "unknown";
  }

  #election(old: NodeId, view: View): ElectionCause {
    if (old === NO_NODE) {
      if (view.master === this.#self) return "founded";
      return view.master === this.#lostTo ? "contest" : "joined";
    }
    return view.members.some(({ id }) => id === old) ? "contest" : "succession";
  }

  #moves(before: GroupTable | undefined, after: GroupTable): SlotMove[] {
    const isOther = before !== undefined && before.owners.length !== after.owners.length;
    const old = isOther ? undefined : before;
    const counts = new Map<number, number>();
    for (let slot = 0; slot < after.owners.length; slot++) {
      const from = old?.owners[slot] ?? NO_NODE;
      const to = after.owners[slot] ?? NO_NODE;
      if (from === to) continue;
      // a slot that was let go before (docs/adr/0009) comes from whoever had it last
      const origin = from === NO_NODE ? (after.former[slot * FORMER_OWNERS] ?? NO_NODE) : from;
      const key = (from * IDS + to) * IDS + origin;
      counts.set(key, (counts.get(key) ?? 0) + 1);
    }
    const owners = new Set(old?.owners);
    const spec = this.#spec.groups.find(({ name }) => name === after.name);
    return [...counts].map(([key, slots]) => {
      const origin = (key % IDS) as NodeId;
      const to = (Math.floor(key / IDS) % IDS) as NodeId;
      const from = Math.floor(key / (IDS * IDS)) as NodeId;
      const cause = this.#why({ spec, origin, to, isNewOwner: !owners.has(to), old });
      return { group: after.name, from, to, slots, cause };
    });
  }

  #why({ spec, origin, to, isNewOwner, old }: MoveFacts): MoveCause {
    if (spec === undefined || old === undefined) return "other";
    if (origin !== NO_NODE) {
      const loss = this.#loss(origin);
      if (loss !== undefined) return loss;
      if (this.#ill.get(spec.name)?.has(origin) === true) return "health";
      if (!spec.nodes.some(({ id, weight }) => id === origin && weight > 0)) return "weight";
    }
    if (origin === NO_NODE && spec.assignment === "lazy") return "demand";
    if (isNewOwner && to !== NO_NODE) return this.#arrivals.get(to) ?? "weight";
    if (spec.balance !== "weights") return "balancing";
    return this.#last.get(spec.name) ?? "other";
  }
}

/** More than there are node ids. */
const IDS = 4096;

interface MoveFacts {
  readonly spec: GroupSpec | undefined;
  /** The last owner that the slot had. */
  readonly origin: NodeId;
  readonly to: NodeId;
  /** It owned nothing of the group until now. */
  readonly isNewOwner: boolean;
  readonly old: GroupTable | undefined;
}

const sameWeights = (a: GroupSpec, b: GroupSpec): boolean =>
  JSON.stringify(a.nodes) === JSON.stringify(b.nodes);

/** What most slots moved for. */
function causeOf(moves: readonly SlotMove[]): MoveCause | undefined {
  const slots = new Map<MoveCause, number>();
  for (const move of moves) slots.set(move.cause, (slots.get(move.cause) ?? 0) + move.slots);
  const [most] = [...slots].sort(([, a], [, b]) => b - a);
  return most?.[0] === "other" ? undefined : most?.[0];
}

function withoutMoves(before: Tables | undefined, after: Tables): TablesCause {
  if (before === undefined) return "services";
  if (before.delivery.method !== after.delivery.method) return "delivery";
  const named = ({ vips, groups }: Tables): string =>
    JSON.stringify([vips, groups.map(({ name, policy, services }) => [name, policy, services])]);
  if (named(before) !== named(after)) return "services";
  if (before.version.epoch !== after.version.epoch) return "succession";
  return before.nodes.length === after.nodes.length ? "other" : "members";
}
