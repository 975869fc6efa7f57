// Which tables a master publishes, and when its own packet program uses them.
//
// Order. A frame may reach a node before that node has the table by which it was sent; an older table there could
// answer a live connection with a reset. So a *planned* change (weights, drain, a node that joins) is first acknowledged
// by every member, and only then does the interface node forward by it. After a *death* the order is reversed: its
// slots lead nowhere, so the interface node switches at once.
//
// Where every member filters (A13), slots of living members move in two versions, *let go* and *give* (core/steering/transition.ts,
// docs/adr/0009). `#wanted` is where this leads, `#target` the version that is published. Whoever becomes master in the middle
// goes on from the tables that it holds, and lets nothing go in its first two seconds. Who loses slots in a version gets it only when
// those that gain them have acknowledged it (docs/adr/0012).
//
// Not here: slot arithmetic (core/steering), what a member does with tables that it gets (controller.ts).
import { compareVersions, NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { View } from "#core/membership/types.ts";
import type { Desired } from "#core/steering/next-tables.ts";
import { SteadyTables } from "#core/steering/steady-tables.ts";
import { assignSlots, meanSlotFor, type SlotRef } from "#core/steering/assignment.ts";
import type { HealthReport, InstanceReport } from "#wire/control/health-report.ts";
import type { SlotReport } from "#wire/control/slot-report.ts";
import { swept } from "#core/steering/sweep.ts";
import { sameContent } from "#core/steering/same-content.ts";
import type { NodeRow, Tables } from "#core/steering/tables.ts";
import { concerned } from "#core/steering/in-turn.ts";
import {
  differences,
  lettingGo,
  ownerless,
  stepTowards,
  type SlotSets,
  type StepRules,
} from "#core/steering/transition.ts";
import { countExceptions, withExceptions } from "#core/steering/exceptions.ts";
import type { FlowReport } from "#wire/control/flow-report.ts";
import { Balancing, ROUND_MS } from "./balancing.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import { desiredGroups } from "./desired-groups.ts";
import { Instances } from "./instances.ts";
import { InterfaceNodes } from "./interface-nodes.ts";
import { Pinning } from "./pinning.ts";
import type { Effect } from "./protocol.ts";

/** Longest wait for acknowledgements of a planned change; a member that is slower than this is behind for a moment. */
export const ACKNOWLEDGE_MS = 250;

/** planned: used once acknowledged. urgent: at once. wanted: once the new owners have acknowledged; a packet waits. */
export type Urgency = "planned" | "urgent" | "wanted";

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
  /** What the target is a step towards, while this node is master. */
  #wanted: Tables | undefined;
  readonly #next = new SteadyTables();
  /** Members that hold the VIPs and have had the newest tables, so that slots may be given to them. */
  #ready = new Set<NodeId>();
  /** Not members any more, but their machines live and so do connections on them. */
  #lingering = new Map<NodeId, NodeRow>();
  /** Who has not acknowledged the target. */
  #waitingFor = new Set<NodeId>();
  /** Of those, without whom the target is not used here. Undefined: it is used. */
  #installAfter: Set<NodeId> | undefined;
  /** Who gets the target when it is used here: until then they take frames that are somebody else's by it. */
  #withheld: ReadonlySet<NodeId> = new Set();
  #acknowledgeBy: Instant | undefined;
  /** Who did not acknowledge in time, and has not since. */
  readonly #behind = new Set<NodeId>();
  /** Slots that were let go, until that is acknowledged. */
  #uncertain: SlotSets = new Map();
  /** As of the last publication. */
  #secondary: NodeId = NO_NODE;
  #isNew = false;
  /** A change of master is over, and who serves what has been settled: from then on slots move for the sake of order. */
  #isQuiet = true;
  readonly #balancing = new Balancing();
  readonly #pinning = new Pinning();
  /** Former owners without connections, as reported since the last round. */
  readonly #unused = new Map<NodeId, Map<string, Set<number>>>();
  readonly #instances = new Instances();
  readonly #interfaceNodes: InterfaceNodes;
  #roundAt: Instant | undefined;

  constructor(state: PublicationState) {
    this.#self = state.self;
    this.#target = state.tables;
    this.#freshHashKey = state.hashKey;
    this.#interfaceNodes = new InterfaceNodes(state.self);
  }

  /** The newest tables, installed or about to be. */
  get tables(): Tables | undefined {
    return this.#target;
  }

  get deadline(): Instant | undefined {
    return earliest(this.#acknowledgeBy, this.#roundAt, this.#pinning.deadline);
  }

  /** Slots that are to move and cannot yet: somebody has not acknowledged, or too many former owners have connections. */
  get waitingMoves(): number {
    return this.#wanted === undefined || this.#roundAt === undefined
      ? 0
      : differences(this.#target, this.#wanted);
  }

  /** B4: of the newest tables; and how often, since the start, a connection was not pinned for want of room. */
  get exceptions(): { readonly count: number; readonly refused: number } {
    const count = this.#target === undefined ? 0 : countExceptions(this.#target);
    return { count, refused: this.#pinning.refused };
  }

  /** Tables of this node's master. False: they are older than what is held, and nothing has changed. */
  adopt(tables: Tables, spec: ClusterSpec): boolean {
    const known = this.#target;
    if (known !== undefined && compareVersions(tables.version, known.version) < 0) return false;
    this.#interfaceNodes.adopted(spec);
    this.#target = tables;
    return true;
  }

  /**
   * A12, A18: the survivors hold the last tables already, so nothing waits for them.
   * @param wasHeir whether this node was the secondary until now
   */
  becomeMaster(now: Instant, cluster: Cluster, wasHeir: boolean): Effect[] {
    const { members } = cluster.view;
    const known = new Set(this.#target?.nodes.map(({ id }) => id));
    this.#ready = new Set(members.map(({ id }) => id).filter((id) => known.has(id)));
    this.#ready.add(this.#self);
    this.#lingering = new Map(
      (this.#target?.nodes ?? [])
        .filter(({ id }) => !isMember(cluster.view, id))
        .map((row) => [row.id, row]),
    );
    this.#wanted = this.#target;
    this.#behind.clear();
    this.#interfaceNodes.becomeMaster(wasHeir);
    this.#uncertain = this.#target === undefined ? new Map() : ownerless(this.#target);
    this.#isNew = true;
    this.#isQuiet = this.#target === undefined;
    this.#balancing.forget();
    this.#instances.forget();
    this.#unused.clear();
    this.#pinning.forget();
    this.#roundAt = after(now, ROUND_MS);
    return this.publish(now, cluster, "urgent");
  }

  standDown(): void {
    this.#waitingFor.clear();
    this.#installAfter = undefined;
    this.#withheld = NOBODY;
    this.#acknowledgeBy = undefined;
    this.#roundAt = undefined;
    this.#pinning.forget();
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
    this.#installAfter?.delete(id);
    this.#behind.delete(id);
    this.#balancing.departed(id);
    this.#instances.departed(id);
    this.#unused.delete(id);
    if (row !== undefined) this.#lingering.set(id, row);
  }

  /** Its machine is dead. True when the tables still named it. */
  silenced(id: NodeId): boolean {
    return this.#lingering.delete(id);
  }

  acknowledged(now: Instant, cluster: Cluster, id: NodeId, version: TableVersion): Effect[] {
    // by older tables it may still own what others have had meanwhile
    if (this.#target === undefined || compareVersions(version, this.#target.version) < 0) return [];
    const isNew = !this.#ready.has(id);
    this.#ready.add(id);
    // its connection may be faster than the view that makes it a member, and it will not say this again
    if (!isMember(cluster.view, id)) return [];
    const wasLast = this.#waitingFor.delete(id) && this.#waitingFor.size === 0;
    if (wasLast) this.#acknowledgeBy = undefined;
    this.#installAfter?.delete(id);
    const wasBehind = this.#behind.delete(id);
    const effects = this.#installWhenAcknowledged(now);
    if (!isNew && !wasBehind && !wasLast) return effects;
    return [...effects, ...this.publish(now, cluster, "planned")];
  }

  deadlineReached(now: Instant, cluster: Cluster): Effect[] {
    return [
      ...this.#waited(now, cluster),
      ...this.#round(now, cluster),
      ...(this.#pinning.due(now) ? this.publish(now, cluster, "planned") : []),
    ];
  }

  #waited(now: Instant, cluster: Cluster): Effect[] {
    if (this.#acknowledgeBy === undefined || now < this.#acknowledgeBy) return [];
    this.#acknowledgeBy = undefined;
    this.#installAfter?.clear();
    for (const id of this.#waitingFor) if (!this.#withheld.has(id)) this.#behind.add(id);
    this.#waitingFor = new Set([...this.#waitingFor].filter((id) => this.#withheld.has(id)));
    const effects = this.#installWhenAcknowledged(now);
    // those who get the tables only now have their own time to acknowledge them
    if (this.#waitingFor.size > 0) return effects;
    return [...effects, ...this.publish(now, cluster, "planned")];
  }

  /** A15: packets want these slots, which have no owner. */
  slotsWanted(now: Instant, cluster: Cluster, slots: readonly SlotRef[]): Effect[] {
    if (this.#wanted === undefined) return [];
    this.#wanted = assignSlots(this.#wanted, slots, this.#desired(cluster));
    return this.publish(now, cluster, "wanted");
  }

  /** A8, B4: what a member measured, and where it has no connections left. */
  slotsReported(now: Instant, id: NodeId, report: SlotReport): void {
    const target = this.#target;
    if (target === undefined) return;
    this.#balancing.reported(now, id, report, target);
    if (!this.#isInForce(report.tables)) return;
    if (report.groups.some(({ unused }) => unused.length > 0)) this.#pinning.soon(now);
    this.#unused.set(
      id,
      new Map(report.groups.map(({ name, unused }) => [name, new Set(unused)] as const)),
    );
  }

  /** B7: publish() goes by it. */
  healthReported(id: NodeId, report: HealthReport): void {
    this.#instances.reported(id, report);
  }

  instanceOf(id: NodeId, group: string): InstanceReport | undefined {
    return this.#instances.of(id, group);
  }

  /** B4: connections that a member has in slots of others, and those of its exceptions that have ended. */
  flowsReported(now: Instant, id: NodeId, report: FlowReport): void {
    const tables = this.#target;
    if (tables === undefined) return;
    this.#pinning.reported(now, id, { report, tables, isCurrent: this.#isInForce(report.tables) });
  }

  /** What was seen under other tables says nothing about these; nor while packets still go by the ones before, at any interface node. */
  #isInForce(version: TableVersion): boolean {
    const target = this.#target;
    if (target === undefined || compareVersions(version, target.version) !== 0) return false;
    const isLate = (id: NodeId): boolean => this.#waitingFor.has(id) || this.#behind.has(id);
    return (
      this.#installAfter === undefined && ![...this.#interfaceNodes.others(target)].some(isLate)
    );
  }

  /** Every two seconds: chains get shorter, and one slot of each measured group moves where that helps. */
  #round(now: Instant, cluster: Cluster): Effect[] {
    if (this.#roundAt === undefined || now < this.#roundAt) return [];
    this.#roundAt = after(now, ROUND_MS);
    this.#isQuiet = true;
    const { groups } = this.#desired(cluster);
    // while something is on its way, owners are not what they will be
    if (this.#target !== undefined && this.#wanted !== undefined && this.#waitingFor.size === 0) {
      for (const { group, slot, to } of this.#balancing.round(now, this.#target, groups)) {
        this.#wanted = meanSlotFor(this.#wanted, { group, slot }, to);
      }
    }
    return this.publish(now, cluster, "planned");
  }

  /** Computes the tables that the present members and configuration call for, and sends out the next step to them. */
  publish(now: Instant, cluster: Cluster, urgency: Urgency): Effect[] {
    // one planned change at a time: who holds neither of two versions would be two moves behind. It comes after this one.
    if (urgency === "planned" && this.#isOnItsWay) return [];
    const { view } = cluster;
    const version = this.#nextVersion(view);
    const before = this.#target;
    this.#wanted = this.#next.next(this.#wanted ?? before, this.#desired(cluster), version);
    const from =
      urgency === "planned" && before !== undefined
        ? swept(before, this.#unused, this.#lateOwners)
        : before;
    const stepped = this.#step(from, this.#wanted, { ...cluster, urgency });
    const { tables: pinned, refused } = withExceptions(before, stepped, this.#pinning.changes);
    const tables = this.#placed(before, pinned, { ...cluster, urgency });
    this.#pinning.published(refused);
    if (this.#waitingFor.size === 0 && !this.#isNew) this.#uncertain = new Map();
    if (
      before !== undefined &&
      view.epoch === before.version.epoch &&
      sameContent(before, tables)
    ) {
      return this.#installAnyway(now, tables, urgency);
    }
    this.#target = tables;
    this.#interfaceNodes.published(before, tables, this.#isNew);
    this.#uncertain = lettingGo(before, tables, this.#uncertain);
    this.#isNew = false;
    this.#unused.clear();
    this.#waitingFor = new Set(
      view.members.map(({ id }) => id).filter((id) => id !== this.#self && this.#ready.has(id)),
    );
    this.#secondary = view.secondary;
    this.#acknowledgeBy = this.#waitingFor.size === 0 ? undefined : after(now, ACKNOWLEDGE_MS);
    this.#installAfter = this.#needed(before, tables, urgency);
    this.#withheld = this.#lateToHear(before, tables, urgency);
    const withheld = [...this.#withheld];
    const effects: Effect[] = [
      ...this.#installWhenAcknowledged(now),
      { type: "replicate-tables", tables, withheld },
    ];
    // nobody has to acknowledge the first step: take the next one
    return this.#waitingFor.size > 0
      ? effects
      : [...effects, ...this.publish(now, cluster, "planned")];
  }

  /** Where every member filters, a slot's owner alone goes by what is pinned in it. */
  get #lateOwners(): ReadonlySet<NodeId> {
    const isForward = this.#target?.delivery.method === "forward";
    return isForward ? NOBODY : new Set([...this.#waitingFor, ...this.#behind]);
  }

  /** Not everybody who sends frames by the target has it. */
  get #isOnItsWay(): boolean {
    if (this.#installAfter !== undefined) return true;
    return [...this.#interfaceNodes.others(this.#target)].some((id) => this.#waitingFor.has(id));
  }

  #placed(
    before: Tables | undefined,
    next: Tables,
    { view, spec, urgency }: Cluster & { readonly urgency: Urgency },
  ): Tables {
    return this.#interfaceNodes.placed(before, next, {
      view,
      spec,
      ready: this.#ready,
      behind: this.#behind,
      released: this.#waitingFor.size === 0 && !this.#isNew,
      mayLetGo: urgency === "planned" && this.#isQuiet,
      isNew: this.#isNew,
    });
  }

  #step(
    from: Tables | undefined,
    wanted: Tables,
    { view, urgency }: Cluster & { readonly urgency: Urgency },
  ): Tables {
    const isFiltered = (tables: Tables | undefined): boolean =>
      (tables?.delivery.method ?? "forward") !== "forward";
    return stepTowards(from, wanted, {
      self: this.#self,
      filtered: isFiltered(wanted) || isFiltered(this.#target),
      members: new Set(view.members.map(({ id }) => id)),
      ready: this.#ready,
      uncertain: this.#uncertain,
      released: this.#waitingFor.size === 0 && !this.#isNew,
      mayLetGo: urgency === "planned" && this.#isQuiet,
      behind: this.#behind,
      frozen: this.#behind.has(view.secondary),
      asked: new Map(this.#target?.groups.map(({ name, former }) => [name, former])),
      isNew: this.#isNew,
      standsIn: this.#standsIn(view),
    });
  }

  /** Only its own slots: others may have been given away by it just before it died. */
  #standsIn({ members }: View): StepRules["standsIn"] {
    const forMaster = this.#isNew ? this.#target?.version.master : undefined;
    if (forMaster === undefined || members.some(({ id }) => id === forMaster)) return undefined;
    return { by: this.#self, forMaster };
  }

  /** Who must have acknowledged before the tables are used here. */
  #needed(before: Tables | undefined, tables: Tables, urgency: Urgency): Set<NodeId> {
    const isForward = tables.delivery.method === "forward";
    if (isForward && urgency === "urgent") return new Set();
    // clients are told of another delivery method only when every member goes by it
    const isSwitch = before?.delivery.method !== tables.delivery.method;
    if (urgency === "planned" && (isForward || isSwitch)) {
      const late = this.#lateToForward(before, tables);
      return new Set([...this.#waitingFor].filter((id) => !late.has(id)));
    }
    const gain = urgency === "urgent" ? [] : concerned(before, tables, this.#self).gain;
    const unfinished = this.#installAfter ?? [];
    return new Set([...gain, ...unfinished].filter((id) => this.#waitingFor.has(id)));
  }

  /**
   * Interface nodes beside this one and its heir: they send frames by tables when they get them. If this node died just then, its
   * heir would not know to whom.
   */
  #lateToForward(before: Tables | undefined, tables: Tables): ReadonlySet<NodeId> {
    const others = this.#interfaceNodes.others(before, tables);
    if (others.size === 0 || concerned(before, tables, this.#self).gain.size === 0) return NOBODY;
    return new Set([...others].filter((id) => this.#waitingFor.has(id) && id !== this.#secondary));
  }

  /** Where every member filters: those that lose slots to members that have to acknowledge them first, in this version or the one before. */
  #lateToHear(before: Tables | undefined, tables: Tables, urgency: Urgency): ReadonlySet<NodeId> {
    if (this.#installAfter === undefined) return NOBODY;
    if (tables.delivery.method === "forward" && urgency === "planned")
      return this.#lateToForward(before, tables);
    if (tables.delivery.method === "forward" || this.#installAfter.size === 0) return NOBODY;
    const late = new Set(this.#withheld);
    for (const id of concerned(before, tables, this.#self).lose) late.add(id);
    for (const id of late) {
      if (!this.#waitingFor.has(id) || this.#installAfter.has(id)) late.delete(id);
    }
    return late;
  }

  #installWhenAcknowledged(now: Instant): Effect[] {
    if (this.#installAfter === undefined || this.#installAfter.size > 0) return [];
    return this.#install(now);
  }

  /** What was published and waits is right: where one node forwards, a death in the meantime ends the waiting. */
  #installAnyway(now: Instant, { delivery }: Tables, urgency: Urgency): Effect[] {
    if (urgency === "urgent" && delivery.method === "forward") this.#installAfter?.clear();
    return this.#installWhenAcknowledged(now);
  }

  #install(now: Instant): Effect[] {
    const tables = this.#target;
    this.#installAfter = undefined;
    if (tables === undefined) return [];
    const withheld = [...this.#withheld];
    this.#withheld = new Set();
    if (withheld.length === 0) return [{ type: "install-tables", tables }];
    this.#acknowledgeBy = after(now, ACKNOWLEDGE_MS);
    return [
      { type: "install-tables", tables },
      { type: "release-tables", tables, to: withheld },
    ];
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
      primary: spec.primary,
      hash: spec.hash,
      hashKey: this.#target?.hashKey ?? this.#freshHashKey,
      vips: spec.vips,
      nodes: [...rows.values()].sort((a, b) => a.id - b.id),
      groups: desiredGroups(spec, {
        serves,
        loads: ({ name, slots }) => this.#balancing.loads(name, slots),
        nodesOf: (group) => this.#instances.nodesOf(group, this.#target, serves),
        livingOf: (group) => this.#instances.livingOf(group),
      }),
    };
  }
}

const NOBODY: ReadonlySet<NodeId> = new Set();

const isMember = (view: View, id: NodeId): boolean =>
  view.members.some((member) => member.id === id);
