// Decides what a node does with what membership and the configuration tell it: which tables are
// published and when, where the VIPs are, whom it follows.
//
// Order of publication. A frame may reach a node before that node has the table by which it was sent; an
// older table there could answer a live connection with a reset. So a *planned* change (weights, drain, a
// node that joins) is first acknowledged by every member, and only then does the interface node forward by it.
// After a *death* the order is reversed: its slots lead nowhere, so the interface node switches at once.
//
// Not here: elections (core/membership), slot arithmetic (core/steering), sockets (daemon).
import type { IpAddress } from "#base/address.ts";
import { compareVersions, NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { Departure, Member, View } from "#core/membership/types.ts";
import { nextTables, type Desired } from "#core/steering/next-tables.ts";
import type { GroupTable, NodeRow, Tables } from "#core/steering/tables.ts";
import type { ClusterSpec } from "./cluster-spec.ts";

/** Longest wait for acknowledgements of a planned change; a member that is slower than this is behind for a moment. */
export const ACKNOWLEDGE_MS = 250;
/** When the VIPs are announced again after a take-over: caches and switches miss single frames. */
export const ANNOUNCE_AGAIN_MS = [50, 200, 1000, 3000] as const;
/** Afterwards, for as long as the node is the interface node (a neighbour may have been away). */
export const ANNOUNCE_EVERY_MS = 30_000;

export type Input =
  | { readonly type: "view-changed"; readonly view: View }
  | { readonly type: "departure-confirmed"; readonly id: NodeId; readonly reason: Departure }
  | { readonly type: "spec-changed"; readonly spec: ClusterSpec }
  | { readonly type: "tables-received"; readonly tables: Tables }
  | { readonly type: "tables-acknowledged"; readonly id: NodeId; readonly version: TableVersion }
  | { readonly type: "deadline-reached" };

export type Effect =
  /** Put the VIPs where they belong on this host (B5: loopback; the interface node also answers for them). */
  | { readonly type: "place-vips"; readonly vips: readonly IpAddress[]; readonly answer: boolean }
  | { readonly type: "announce-vips"; readonly vips: readonly IpAddress[] }
  /** Make the local packet program forward by these tables. */
  | { readonly type: "install-tables"; readonly tables: Tables }
  /** Send these tables to every member. */
  | { readonly type: "replicate-tables"; readonly tables: Tables }
  | { readonly type: "acknowledge-tables"; readonly version: TableVersion }
  /** Open the control channel to the master, or close it where there is none to follow. */
  | { readonly type: "follow"; readonly master: Member | undefined };

export interface ControllerState {
  readonly self: NodeId;
  readonly spec: ClusterSpec;
  /** What was last in force here, from before a restart. */
  readonly tables: Tables | undefined;
  /** Drawn anew by the caller; used when no tables exist yet. */
  readonly hashKey: readonly [number, number];
}

export class Controller {
  readonly #self: NodeId;
  readonly #freshHashKey: readonly [number, number];
  #spec: ClusterSpec;
  #view: View | undefined;
  /** The newest tables known: installed, or on their way to the members. */
  #target: Tables | undefined;
  /** Members that hold the VIPs and a table, so that slots may be given to them. */
  #ready = new Set<NodeId>();
  /** Not members any more, but their machines live and so do connections on them. */
  #lingering = new Map<NodeId, NodeRow>();
  #waitingFor = new Set<NodeId>();
  #installBy: Instant | undefined;
  #announced = 0;
  #announceAt: Instant | undefined;

  constructor(state: ControllerState) {
    this.#self = state.self;
    this.#spec = state.spec;
    this.#target = state.tables;
    this.#freshHashKey = state.hashKey;
  }

  /** The newest tables, installed or about to be. */
  get tables(): Tables | undefined {
    return this.#target;
  }

  get deadline(): Instant | undefined {
    return earliest(this.#installBy, this.#announceAt);
  }

  step(now: Instant, input: Input): Effect[] {
    switch (input.type) {
      case "view-changed":
        return this.#viewChanged(now, input.view);
      case "departure-confirmed":
        return this.#confirmed(now, input.id, input.reason);
      case "spec-changed":
        return this.#specChanged(now, input.spec);
      case "tables-received":
        return this.#received(input.tables);
      case "tables-acknowledged":
        return this.#acknowledged(now, input.id, input.version);
      case "deadline-reached":
        return this.#deadlineReached(now);
    }
  }

  /** Start: the host is brought to what the configuration says, before the node is a member of anything. */
  open(): Effect[] {
    const effects: Effect[] = [this.#placeVips()];
    if (this.#target !== undefined) effects.push(install(this.#target));
    return effects;
  }

  get #isMaster(): boolean {
    return this.#view?.role === "master";
  }

  #placeVips(): Effect {
    return { type: "place-vips", vips: this.#spec.vips, answer: this.#isMaster };
  }

  #viewChanged(now: Instant, view: View): Effect[] {
    const before = this.#view;
    this.#view = view;
    for (const { id } of view.members) this.#lingering.delete(id);
    const effects: Effect[] = [];
    if (view.role === "master" && before?.role !== "master") {
      effects.push(...this.#becomeMaster(now, view));
    } else if (view.role === "master") {
      const departed = (before?.members ?? []).filter(({ id }) => !this.#isMember(id));
      for (const { id } of departed) this.#departed(id);
      effects.push(...this.#publish(now, departed.length > 0 ? "urgent" : "planned"));
    } else if (before?.role === "master") {
      effects.push(...this.#standDown());
    }
    const following = view.role === "member" ? view.master : NO_NODE;
    const followed = before?.role === "member" ? before.master : NO_NODE;
    if (following !== followed) {
      effects.push({ type: "follow", master: view.members.find(({ id }) => id === following) });
    }
    return effects;
  }

  /** A12, A18: the survivors hold the last tables already, so nothing waits for them. */
  #becomeMaster(now: Instant, view: View): Effect[] {
    const known = new Set(this.#target?.nodes.map(({ id }) => id));
    this.#ready = new Set(view.members.map(({ id }) => id).filter((id) => known.has(id)));
    this.#ready.add(this.#self);
    const members = new Set(view.members.map(({ id }) => id));
    this.#lingering = new Map(
      (this.#target?.nodes ?? []).filter(({ id }) => !members.has(id)).map((row) => [row.id, row]),
    );
    this.#announced = 0;
    return [this.#placeVips(), ...this.#announce(now), ...this.#publish(now, "urgent")];
  }

  #standDown(): Effect[] {
    this.#waitingFor.clear();
    this.#installBy = undefined;
    this.#announceAt = undefined;
    return [this.#placeVips()];
  }

  /** Its slots move at once; connections on it are still looked for until its death is certain. */
  #departed(id: NodeId): void {
    const row = this.#target?.nodes.find((node) => node.id === id);
    this.#ready.delete(id);
    this.#waitingFor.delete(id);
    if (row !== undefined) this.#lingering.set(id, row);
  }

  #confirmed(now: Instant, id: NodeId, reason: Departure): Effect[] {
    if (reason !== "silent" || !this.#lingering.delete(id)) return [];
    return this.#isMaster ? this.#publish(now, "planned") : [];
  }

  #specChanged(now: Instant, spec: ClusterSpec): Effect[] {
    this.#spec = spec;
    const effects: Effect[] = [this.#placeVips()];
    if (this.#isMaster) effects.push(...this.#announce(now), ...this.#publish(now, "planned"));
    return effects;
  }

  #received(tables: Tables): Effect[] {
    if (this.#isMaster) return [];
    const known = this.#target;
    if (known !== undefined && compareVersions(tables.version, known.version) < 0) return [];
    this.#target = tables;
    return [install(tables), { type: "acknowledge-tables", version: tables.version }];
  }

  #acknowledged(now: Instant, id: NodeId, version: TableVersion): Effect[] {
    if (!this.#isMaster) return [];
    const isNew = !this.#ready.has(id);
    this.#ready.add(id);
    // its connection may be faster than the view that makes it a member, and it will not say this again
    if (!this.#isMember(id)) return [];
    if (this.#target !== undefined && compareVersions(version, this.#target.version) >= 0) {
      this.#waitingFor.delete(id);
    }
    if (isNew) return this.#publish(now, "planned");
    return this.#installWhenAcknowledged();
  }

  #deadlineReached(now: Instant): Effect[] {
    const effects: Effect[] = [];
    if (this.#installBy !== undefined && now >= this.#installBy) {
      this.#waitingFor.clear();
      effects.push(...this.#installWhenAcknowledged());
    }
    if (this.#announceAt !== undefined && now >= this.#announceAt)
      effects.push(...this.#announce(now));
    return effects;
  }

  #isMember(id: NodeId): boolean {
    return this.#view?.members.some((member) => member.id === id) ?? false;
  }

  #announce(now: Instant): Effect[] {
    const wait = ANNOUNCE_AGAIN_MS[this.#announced] ?? ANNOUNCE_EVERY_MS;
    this.#announced += 1;
    this.#announceAt = after(now, wait);
    return [{ type: "announce-vips", vips: this.#spec.vips }];
  }

  /** Computes the tables that the present members and configuration call for, and sends them out. */
  #publish(now: Instant, urgency: "planned" | "urgent"): Effect[] {
    const view = this.#view;
    if (view === undefined) return [];
    const previous = this.#target;
    const tables = nextTables(previous, this.#desired(view), this.#nextVersion(view));
    if (
      previous !== undefined &&
      view.epoch === previous.version.epoch &&
      sameContent(previous, tables)
    ) {
      return this.#installWhenAcknowledged(urgency);
    }
    this.#target = tables;
    this.#waitingFor = new Set(
      view.members.map(({ id }) => id).filter((id) => id !== this.#self && this.#ready.has(id)),
    );
    const effects: Effect[] = [{ type: "replicate-tables", tables }];
    if (urgency === "urgent" || this.#waitingFor.size === 0) {
      this.#installBy = undefined;
      return [install(tables), ...effects];
    }
    this.#installBy = after(now, ACKNOWLEDGE_MS);
    return effects;
  }

  /** What was published and waits: a death in the meantime ends the waiting. */
  #installWhenAcknowledged(urgency: "planned" | "urgent" = "planned"): Effect[] {
    if (this.#installBy === undefined || this.#target === undefined) return [];
    if (urgency === "planned" && this.#waitingFor.size > 0) return [];
    this.#installBy = undefined;
    return [install(this.#target)];
  }

  #nextVersion(view: View): TableVersion {
    const last = this.#target?.version;
    const counter = last !== undefined && last.epoch === view.epoch ? last.counter + 1 : 1;
    return { epoch: view.epoch, counter, master: this.#self };
  }

  #desired(view: View): Desired {
    const rows = new Map<NodeId, NodeRow>(this.#lingering);
    for (const { id, mac } of view.members) rows.set(id, { id, mac });
    const serves = (id: NodeId): boolean =>
      this.#ready.has(id) && this.#isMember(id) && !this.#spec.drained.includes(id);
    return {
      hashKey: this.#target?.hashKey ?? this.#freshHashKey,
      vips: this.#spec.vips,
      nodes: [...rows.values()].sort((a, b) => a.id - b.id),
      groups: this.#spec.groups.map((group) => ({
        ...group,
        nodes: group.nodes.map(({ id, weight }) => ({ id, weight, serves: serves(id) })),
      })),
    };
  }
}

const install = (tables: Tables): Effect => ({ type: "install-tables", tables });

/** True when nothing but the version differs, so that publishing would be noise. */
function sameContent(a: Tables, b: Tables): boolean {
  const frame = ({ nodes, vips, hashKey, groups }: Tables): string =>
    JSON.stringify([nodes, vips, hashKey, groups.map((g) => [g.name, g.policy, g.services])]);
  return (
    frame(a) === frame(b) && a.groups.every((group, index) => sameSlots(group, b.groups[index]))
  );
}

function sameSlots(a: GroupTable, b: GroupTable | undefined): boolean {
  return (
    b !== undefined &&
    sameNumbers(a.owners, b.owners) &&
    sameNumbers(a.former, b.former) &&
    sameNumbers(a.home, b.home)
  );
}

const sameNumbers = (a: Uint16Array, b: Uint16Array): boolean =>
  a.length === b.length && a.every((value, index) => value === b[index]);
