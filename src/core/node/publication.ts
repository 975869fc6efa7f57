// Which tables a master publishes, and when its own packet program uses them.
//
// Order. A frame may reach a node before that node has the table by which it was sent; an older table there could
// answer a live connection with a reset. So a *planned* change (weights, drain, a node that joins) is first acknowledged
// by every member, and only then does the interface node forward by it. After a *death* the order is reversed: its
// slots lead nowhere, so the interface node switches at once.
//
// Not here: slot arithmetic (core/steering), what a member does with tables that it gets (controller.ts).
import { compareVersions, type NodeId, type TableVersion } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type { View } from "#core/membership/types.ts";
import { nextTables, type Desired } from "#core/steering/next-tables.ts";
import { sameContent } from "#core/steering/same-content.ts";
import type { NodeRow, Tables } from "#core/steering/tables.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import type { Effect } from "./protocol.ts";

/** Longest wait for acknowledgements of a planned change; a member that is slower than this is behind for a moment. */
export const ACKNOWLEDGE_MS = 250;

export type Urgency = "planned" | "urgent";

export interface PublicationState {
  readonly self: NodeId;
  /** What was last in force here, from before a restart. */
  readonly tables: Tables | undefined;
  /** Drawn anew by the caller; used when no tables exist yet. */
  readonly hashKey: readonly [number, number];
}

/** What a master publishes for. */
export interface Cluster {
  readonly view: View;
  readonly spec: ClusterSpec;
}

export class Publication {
  readonly #self: NodeId;
  readonly #freshHashKey: readonly [number, number];
  /** The newest tables known: installed, or on their way to the members. */
  #target: Tables | undefined;
  /** Members that hold the VIPs and a table, so that slots may be given to them. */
  #ready = new Set<NodeId>();
  /** Not members any more, but their machines live and so do connections on them. */
  #lingering = new Map<NodeId, NodeRow>();
  #waitingFor = new Set<NodeId>();
  #installBy: Instant | undefined;

  constructor(state: PublicationState) {
    this.#self = state.self;
    this.#target = state.tables;
    this.#freshHashKey = state.hashKey;
  }

  /** The newest tables, installed or about to be. */
  get tables(): Tables | undefined {
    return this.#target;
  }

  get deadline(): Instant | undefined {
    return this.#installBy;
  }

  /** Tables of this node's master. False: they are older than what is held, and nothing has changed. */
  adopt(tables: Tables): boolean {
    const known = this.#target;
    if (known !== undefined && compareVersions(tables.version, known.version) < 0) return false;
    this.#target = tables;
    return true;
  }

  /** A12, A18: the survivors hold the last tables already, so nothing waits for them. */
  becomeMaster(now: Instant, cluster: Cluster): Effect[] {
    const { members } = cluster.view;
    const known = new Set(this.#target?.nodes.map(({ id }) => id));
    this.#ready = new Set(members.map(({ id }) => id).filter((id) => known.has(id)));
    this.#ready.add(this.#self);
    this.#lingering = new Map(
      (this.#target?.nodes ?? [])
        .filter(({ id }) => !isMember(cluster.view, id))
        .map((row) => [row.id, row]),
    );
    return this.publish(now, cluster, "urgent");
  }

  standDown(): void {
    this.#waitingFor.clear();
    this.#installBy = undefined;
  }

  /** It is a member: what is known of it from before is not needed any more. */
  present(id: NodeId): void {
    this.#lingering.delete(id);
  }

  /** Its slots move at once; connections on it are still looked for until its death is certain. */
  departed(id: NodeId): void {
    const row = this.#target?.nodes.find((node) => node.id === id);
    this.#ready.delete(id);
    this.#waitingFor.delete(id);
    if (row !== undefined) this.#lingering.set(id, row);
  }

  /** Its machine is dead. True when the tables still named it. */
  silenced(id: NodeId): boolean {
    return this.#lingering.delete(id);
  }

  acknowledged(now: Instant, cluster: Cluster, id: NodeId, version: TableVersion): Effect[] {
    const isNew = !this.#ready.has(id);
    this.#ready.add(id);
    // its connection may be faster than the view that makes it a member, and it will not say this again
    if (!isMember(cluster.view, id)) return [];
    if (this.#target !== undefined && compareVersions(version, this.#target.version) >= 0) {
      this.#waitingFor.delete(id);
    }
    if (isNew) return this.publish(now, cluster, "planned");
    return this.#installWhenAcknowledged();
  }

  deadlineReached(now: Instant): Effect[] {
    if (this.#installBy === undefined || now < this.#installBy) return [];
    this.#waitingFor.clear();
    return this.#installWhenAcknowledged();
  }

  /** Computes the tables that the present members and configuration call for, and sends them out. */
  publish(now: Instant, cluster: Cluster, urgency: Urgency): Effect[] {
    const { view } = cluster;
    const previous = this.#target;
    const tables = nextTables(previous, this.#desired(cluster), this.#nextVersion(view));
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
      return [{ type: "install-tables", tables }, ...effects];
    }
    this.#installBy = after(now, ACKNOWLEDGE_MS);
    return effects;
  }

  /** What was published and waits: a death in the meantime ends the waiting. */
  #installWhenAcknowledged(urgency: Urgency = "planned"): Effect[] {
    if (this.#installBy === undefined || this.#target === undefined) return [];
    if (urgency === "planned" && this.#waitingFor.size > 0) return [];
    this.#installBy = undefined;
    return [{ type: "install-tables", tables: this.#target }];
  }

  #nextVersion(view: View): TableVersion {
    const last = this.#target?.version;
    const counter = last !== undefined && last.epoch === view.epoch ? last.counter + 1 : 1;
    return { epoch: view.epoch, counter, master: this.#self };
  }

  #desired({ view, spec }: Cluster): Desired {
    const rows = new Map<NodeId, NodeRow>(this.#lingering);
    for (const { id, mac } of view.members) rows.set(id, { id, mac });
    const serves = (id: NodeId): boolean =>
      this.#ready.has(id) && isMember(view, id) && !spec.drained.includes(id);
    return {
      method: spec.method,
      hash: spec.hash,
      hashKey: this.#target?.hashKey ?? this.#freshHashKey,
      vips: spec.vips,
      nodes: [...rows.values()].sort((a, b) => a.id - b.id),
      groups: spec.groups.map((group) => ({
        ...group,
        holds: false,
        nodes: group.nodes.map(({ id, weight }) => ({ id, weight, serves: serves(id) })),
      })),
    };
  }
}

const isMember = (view: View, id: NodeId): boolean =>
  view.members.some((member) => member.id === id);
