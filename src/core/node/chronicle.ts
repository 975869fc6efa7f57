// A10: what applications on this machine are told: this node's role, members that come and go, work sets that this node gains and
// loses. Differences between what was told last and how things stand now, so that nothing is told twice and nothing is left out.
//
// Members: while this node is out of the cluster it knows nothing of the others; the list it had stands until it has a new one.
// Work sets: those of the tables *in force* here, and only while this node is a member with its master's tables. Tables that a node
// remembers from before it was out give it nothing.
import { compareVersions, NO_NODE, type NodeId } from "#base/ids.ts";
import type { Departure, Member, Role, View } from "#core/membership/types.ts";
import { FORMER_OWNERS, type GroupTable, type Tables } from "#core/steering/tables.ts";
import { addSlot, type SlotRange } from "#wire/applications/slot-ranges.ts";

export type News =
  | {
      readonly type: "role-changed";
      readonly role: Role;
      readonly epoch: number;
      readonly master: NodeId;
    }
  | { readonly type: "member-joined"; readonly member: Member }
  | {
      readonly type: "member-left";
      readonly member: Member;
      readonly reason: Departure | "unknown";
    }
  /** `from`: who served them before, 0 where that is not known or was nobody. */
  | ({ readonly type: "work-sets-gained"; readonly from: NodeId } & Slots)
  /** `to`: who serves them now, 0 where that is not known or is nobody yet. */
  | ({ readonly type: "work-sets-lost"; readonly to: NodeId } & Slots)
  /** What this node has let go before (docs/adr/0009) has an owner now. */
  | ({ readonly type: "work-sets-passed-on"; readonly to: NodeId } & Slots);

interface Slots {
  readonly group: string;
  readonly slots: readonly SlotRange[];
}

/** How things stand, as it was told. */
export interface Standing {
  readonly role: Role;
  readonly epoch: number;
  readonly master: NodeId;
  readonly members: readonly Member[];
  readonly groups: readonly (Slots & { readonly total: number })[];
}

export class Chronicle {
  readonly #self: NodeId;
  #view: View | undefined;
  #members: readonly Member[] = [];
  /** Why members that are still listed are about to leave the list; the master knows. */
  readonly #reasons = new Map<NodeId, Departure>();
  #inForce: Tables | undefined;
  /** Since it is a member, this node has had its master's tables. */
  #upToDate = false;
  /** Whose slots were told. */
  #told: Tables | undefined;

  constructor(self: NodeId) {
    this.#self = self;
  }

  get standing(): Standing {
    return {
      role: this.#view?.role ?? "joining",
      epoch: this.#view?.epoch ?? 0,
      master: this.#view?.master ?? NO_NODE,
      members: this.#members,
      groups: (this.#told?.groups ?? []).flatMap((group) => {
        const slots = ownedBy(this.#self, group);
        return slots.length === 0 ? [] : [{ group: group.name, total: group.owners.length, slots }];
      }),
    };
  }

  /** The master knows the reason before the list changes. */
  departing(id: NodeId, reason: Departure): void {
    if (this.#members.some((member) => member.id === id)) this.#reasons.set(id, reason);
  }

  viewChanged(view: View): News[] {
    const before = this.#view;
    this.#view = view;
    const news: News[] = [];
    const { role, epoch, master } = view;
    if (before?.role !== role || before.master !== master) {
      news.push({ type: "role-changed", role, epoch, master });
    }
    return [...news, ...this.#membersNews(view), ...this.#slotsNews()];
  }

  tablesInForce(tables: Tables): News[] {
    this.#inForce = tables;
    return this.#slotsNews();
  }

  #membersNews({ role, members }: View): News[] {
    if (role !== "member" && role !== "master") return [];
    const before = this.#members;
    this.#members = members;
    const isIn = (list: readonly Member[], { id }: Member): boolean =>
      list.some((member) => member.id === id);
    const left = before
      .filter((member) => !isIn(members, member))
      .map((member): News => {
        const reason = this.#reasons.get(member.id) ?? "unknown";
        return { type: "member-left", member, reason };
      });
    const joined = members
      .filter((member) => !isIn(before, member))
      .map((member): News => ({ type: "member-joined", member }));
    this.#reasons.clear();
    return [...left, ...joined];
  }

  #slotsNews(): News[] {
    const before = this.#told;
    this.#told = this.#owning();
    if (before === this.#told) return [];
    const names = new Set([...groupsOf(before).keys(), ...groupsOf(this.#told).keys()]);
    return [...names].flatMap((name) =>
      differences(this.#self, groupsOf(before).get(name), groupsOf(this.#told).get(name)),
    );
  }

  /** The tables by which this node may take itself for an owner. */
  #owning(): Tables | undefined {
    const view = this.#view;
    if (view?.role !== "member" && view?.role !== "master") {
      this.#upToDate = false;
      return undefined;
    }
    const version = this.#inForce?.version;
    this.#upToDate ||=
      version !== undefined &&
      version.epoch >= view.epoch &&
      compareVersions(version, view.tables) >= 0;
    return this.#upToDate ? this.#inForce : undefined;
  }
}

const groupsOf = (tables: Tables | undefined): ReadonlyMap<string, GroupTable> =>
  new Map((tables?.groups ?? []).map((group) => [group.name, group]));

function ownedBy(self: NodeId, { owners }: GroupTable): SlotRange[] {
  const ranges: { first: number; last: number }[] = [];
  for (let slot = 0; slot < owners.length; slot++) {
    if (owners[slot] === self) addSlot(ranges, slot);
  }
  return ranges;
}

/** Lost before gained, each by the other node, in the order of ids. A group of another size has other slots. */
function differences(
  self: NodeId,
  before: GroupTable | undefined,
  after: GroupTable | undefined,
): News[] {
  if (before !== undefined && after !== undefined && before.owners.length !== after.owners.length) {
    return [...differences(self, before, undefined), ...differences(self, undefined, after)];
  }
  const group = (after ?? before)?.name ?? "";
  const [gained, lost, passedOn] = [new ByPeer(), new ByPeer(), new ByPeer()];
  const count = (after ?? before)?.owners.length ?? 0;
  for (let slot = 0; slot < count; slot++) {
    const was = before?.owners[slot] ?? NO_NODE;
    const is = after?.owners[slot] ?? NO_NODE;
    if (was === is) continue;
    if (was === self) lost.add(is, slot);
    else if (is === self) {
      const from = was === NO_NODE ? lastFormer(after, slot) : was;
      gained.add(from === self ? NO_NODE : from, slot);
    } else if (was === NO_NODE && before !== undefined && lastFormer(after, slot) === self) {
      passedOn.add(is, slot);
    }
  }
  const told = <T extends News>(
    peers: ByPeer,
    news: (peer: NodeId, slots: SlotRange[]) => T,
  ): T[] => peers.sorted().map(([peer, slots]) => news(peer, slots));
  return [
    ...told(lost, (to, slots) => ({ type: "work-sets-lost", group, slots, to })),
    ...told(passedOn, (to, slots) => ({ type: "work-sets-passed-on", group, slots, to })),
    ...told(gained, (from, slots) => ({ type: "work-sets-gained", group, slots, from })),
  ];
}

/** Who served the slot before, by the table itself. */
const lastFormer = (table: GroupTable | undefined, slot: number): number =>
  table?.former[slot * FORMER_OWNERS] ?? NO_NODE;

class ByPeer {
  readonly #slots = new Map<number, { first: number; last: number }[]>();

  /** In rising order of slots. */
  add(peer: number, slot: number): void {
    let ranges = this.#slots.get(peer);
    if (ranges === undefined) {
      ranges = [];
      this.#slots.set(peer, ranges);
    }
    addSlot(ranges, slot);
  }

  sorted(): [NodeId, SlotRange[]][] {
    return [...this.#slots].sort(([a], [b]) => a - b).map(([id, slots]) => [id as NodeId, slots]);
  }
}
