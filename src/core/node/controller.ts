// Decides what a node does with what membership and the configuration tell it: where the VIPs are, whom it follows, what it
// tells the segment (announcements.ts), and, while it is master, that tables are published (publication.ts). Which VIPs it answers for is in
// the tables that are in force here, or, where these say nothing of it, all of them while it is master (docs/adr/0025).
//
// A change of the delivery method is a change of tables like any other: every member listens to the new MAC before it
// acknowledges them, and the interface node announces it only after they are in force there, so that no client is told of a
// MAC that somebody does not listen to. The old one is listened to for as long as clients may remember it.
//
// Not here: elections (core/membership), slot arithmetic (core/steering), sockets (daemon).
import type { IpAddress } from "#base/address.ts";
import { NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import { sameLists } from "#base/same-lists.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { Departure, View } from "#core/membership/types.ts";
import type { SlotRef } from "#core/steering/assignment.ts";
import type { Delivery, Tables } from "#core/steering/tables.ts";
import type { InstanceReport } from "#wire/control/health-report.ts";
import { Announcements } from "./announcements.ts";
import { ROUND_MS } from "./balancing.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import type { Effect, Input } from "./protocol.ts";
import { Publication, type PublicationState, type Urgency } from "./publication.ts";

export interface ControllerState extends PublicationState {
  readonly spec: ClusterSpec;
}

export class Controller {
  readonly #publication: Publication;
  readonly #announcements: Announcements;
  readonly #self: NodeId;
  #spec: ClusterSpec;
  #view: View | undefined;
  /** In force here. */
  #installed: Tables | undefined;
  /** What the host was last told that it answers for, and what neighbours were told. */
  #placed: readonly IpAddress[] = [];
  #announced: readonly IpAddress[] = [];

  constructor(state: ControllerState) {
    this.#self = state.self;
    this.#spec = state.spec;
    this.#installed = state.tables;
    this.#publication = new Publication(state);
    this.#announcements = new Announcements(state.tables);
  }

  /** The newest tables, installed or about to be. */
  get tables(): Tables | undefined {
    return this.#publication.tables;
  }

  /** Slots that are to move and cannot yet; 0 where this node is not master. */
  get waitingMoves(): number {
    return this.#publication.waitingMoves;
  }

  /** What is known of a member's instance; undefined also where this node is not master. */
  instanceOf(id: NodeId, group: string): InstanceReport | undefined {
    return this.#isMaster ? this.#publication.instanceOf(id, group) : undefined;
  }

  /** Slots on their way, and connections pinned by the newest tables; refused: by this node as master, since its start (B4). */
  get assignment(): {
    readonly movesWaiting: number;
    readonly exceptions: { readonly count: number; readonly refused: number };
  } {
    return { movesWaiting: this.waitingMoves, exceptions: this.#publication.exceptions };
  }

  /** Of the tables that are in force here. */
  get delivery(): Delivery {
    return this.#announcements.delivery;
  }

  get deadline(): Instant | undefined {
    return earliest(this.#publication.deadline, this.#announcements.deadline);
  }

  step(now: Instant, input: Input): Effect[] {
    const effects = this.#react(now, input).flatMap((effect) =>
      effect.type === "install-tables" ? this.#install(now, effect) : [effect],
    );
    // clients wait for the others; to find out and change what is on the host takes longest
    return sameLists(this.#answered, this.#placed) ? effects : [...effects, this.#placeVips()];
  }

  /** Listening comes before the tables that make others count on it; announcing after them. */
  #install(now: Instant, effect: Extract<Effect, { type: "install-tables" }>): Effect[] {
    const isOtherWay = this.#announcements.installed(effect.tables);
    const isSpread = [this.#installed, effect.tables].some((each) => each?.vipHolders);
    this.#installed = effect.tables;
    if (!isOtherWay) return isSpread ? [effect, ...this.#announceNew(now)] : [effect];
    const announced = this.#isInterfaceNode ? this.#beginAnnouncing(now) : [];
    return [this.#placeVips(), effect, ...this.#announcements.report(now), ...announced];
  }

  /** A VIP has come here, or this node has heard again that it is its own. */
  #announceNew(now: Instant): Effect[] {
    if (!this.#isInterfaceNode) return this.#endAnnouncing();
    const answered = this.#answered;
    this.#announced = this.#announced.filter((vip) => answered.includes(vip));
    return this.#announced.length === answered.length ? [] : this.#beginAnnouncing(now);
  }

  #beginAnnouncing(now: Instant): Effect[] {
    this.#announced = this.#answered;
    return this.#announcements.begin(now, this.#announced);
  }

  #endAnnouncing(): Effect[] {
    this.#announced = [];
    this.#announcements.end();
    return [];
  }

  #react(now: Instant, input: Input): Effect[] {
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
      case "announce-wanted":
        return this.#announce(now);
      case "slots-wanted":
        return this.#slotsWanted(now, input.slots);
      case "slots-reported":
        if (this.#isMaster) this.#publication.slotsReported(now, input.id, input.report);
        return [];
      case "health-reported":
        if (!this.#isMaster) return [];
        this.#publication.healthReported(input.id, input.report);
        return this.#publish(now, "planned");
      case "flows-reported":
        if (this.#isMaster) this.#publication.flowsReported(now, input.id, input.report);
        return [];
      case "deadline-reached":
        return [
          ...this.#publicationDue(now),
          ...this.#announcements.deadlineReached(now, this.#isInterfaceNode ? this.#answered : []),
        ];
    }
  }

  /** Start: the host is brought to what the configuration says, before the node is a member of anything. */
  open(now: Instant): Effect[] {
    const { tables } = this;
    if (tables === undefined) return [this.#placeVips()];
    const reported = this.#announcements.report(now);
    return [this.#placeVips(), { type: "install-tables", tables }, ...reported];
  }

  /**
   * What this node would decide if its master died now, and when everybody has acknowledged it. Nothing is changed and nothing comes
   * of it; it is done for the sake of speed (daemon/rehearsal.ts).
   */
  rehearse(now: Instant): Effect[] {
    const [{ tables }, view] = [this, this.#view];
    if (view?.role !== "member" || tables === undefined) return [];
    const members = view.members.filter(({ id }) => id !== view.master);
    const reign: View = {
      ...view,
      role: "master",
      master: this.#self,
      epoch: view.epoch + 1,
      members,
    };
    const spec = this.#spec;
    const twin = new Controller({ self: this.#self, spec, tables, hashKey: tables.hashKey });
    const effects = twin.step(now, { type: "view-changed", view: reign });
    for (const later of [now, after(now, ROUND_MS), after(now, ROUND_MS)]) {
      effects.push(...twin.step(later, { type: "deadline-reached" }));
      for (const { id } of members) {
        const version = twin.tables?.version ?? tables.version;
        effects.push(...twin.step(later, { type: "tables-acknowledged", id, version }));
      }
    }
    return effects;
  }

  get #isMaster(): boolean {
    return this.#view?.role === "master";
  }

  /** The VIPs of which this node is the interface node. Whether it may answer at this moment is the packet program's business. */
  get #answered(): readonly IpAddress[] {
    const { vips } = this.#spec;
    const { vipHolders, vips: placed } = this.#installed ?? {};
    if (vipHolders === undefined || placed === undefined) return this.#isMaster ? vips : [];
    return vips.filter((vip) => vipHolders.holders[placed.indexOf(vip)] === this.#self);
  }

  /** Its tables are those of the cluster that it is in, by what it knows: what it announces is true. */
  get #isInterfaceNode(): boolean {
    const view = this.#view;
    if (this.#isMaster) return true;
    const version = this.#installed?.version;
    const isCurrent = view?.epoch === version?.epoch && view?.master === version?.master;
    return view?.role === "member" && isCurrent && this.#answered.length > 0;
  }

  #placeVips(): Effect {
    const { delivery } = this.#announcements;
    this.#placed = this.#answered;
    return { type: "place-vips", vips: this.#spec.vips, answered: this.#placed, delivery };
  }

  #viewChanged(now: Instant, view: View): Effect[] {
    const before = this.#view;
    this.#view = view;
    for (const { id } of view.members) this.#publication.present(id);
    const effects: Effect[] = [];
    if (view.role === "master" && before?.role !== "master") {
      effects.push(...this.#becomeMaster(now, view, before?.secondary === this.#self));
    } else if (view.role === "master") {
      effects.push(...this.#membersChanged(now, view, before));
    } else {
      if (before?.role === "master") effects.push(...this.#standDown());
      effects.push(...this.#memberAgain(now, view, before));
    }
    const following = view.role === "member" ? view.master : NO_NODE;
    const followed = before?.role === "member" ? before.master : NO_NODE;
    if (following !== followed) {
      effects.push({ type: "follow", master: view.members.find(({ id }) => id === following) });
    }
    return effects;
  }

  #becomeMaster(now: Instant, view: View, wasHeir: boolean): Effect[] {
    const cluster = { view, spec: this.#spec };
    const published = this.#publication.becomeMaster(now, cluster, wasHeir);
    const spread = [this.#installed, this.#publication.tables].some((each) => each?.vipHolders);
    if (!spread) return [...published, ...this.#beginAnnouncing(now), this.#placeVips()];
    // tables come into force now, and then what this node has by them is announced
    this.#announced = [];
    return published;
  }

  /** Somebody who has just joined may have announced VIPs of this node, on a network that was split (A5). */
  #memberAgain(now: Instant, view: View, before: View | undefined): Effect[] {
    if (this.#installed?.vipHolders === undefined) return [];
    if (!this.#isInterfaceNode) return this.#endAnnouncing();
    const known = new Set(before?.members.map(({ id }) => id));
    const isNews = before?.role !== "member" || view.members.some(({ id }) => !known.has(id));
    return isNews ? this.#beginAnnouncing(now) : [];
  }

  #membersChanged(now: Instant, view: View, before: View | undefined): Effect[] {
    const present = new Set(view.members.map(({ id }) => id));
    const departed = (before?.members ?? []).filter(({ id }) => !present.has(id));
    for (const { id } of departed) this.#publication.departed(id);
    return this.#publish(now, departed.length > 0 ? "urgent" : "planned");
  }

  #standDown(): Effect[] {
    this.#publication.standDown();
    return [...this.#endAnnouncing(), this.#placeVips()];
  }

  #confirmed(now: Instant, id: NodeId, reason: Departure): Effect[] {
    if (reason !== "silent" || !this.#publication.silenced(id)) return [];
    return this.#isMaster ? this.#publish(now, "planned") : [];
  }

  #specChanged(now: Instant, spec: ClusterSpec): Effect[] {
    this.#spec = spec;
    const effects: Effect[] = [this.#placeVips(), ...this.#announce(now)];
    if (this.#isMaster) effects.push(...this.#publish(now, "planned"));
    return effects;
  }

  #received(tables: Tables): Effect[] {
    if (this.#isMaster || !this.#publication.adopt(tables, this.#spec)) return [];
    return [
      { type: "install-tables", tables },
      { type: "acknowledge-tables", version: tables.version },
    ];
  }

  #acknowledged(now: Instant, id: NodeId, version: TableVersion): Effect[] {
    const view = this.#view;
    if (view?.role !== "master") return [];
    return this.#publication.acknowledged(now, { view, spec: this.#spec }, id, version);
  }

  #publicationDue(now: Instant): Effect[] {
    const view = this.#view;
    if (view === undefined) return [];
    return this.#publication.deadlineReached(now, { view, spec: this.#spec });
  }

  #slotsWanted(now: Instant, slots: readonly SlotRef[]): Effect[] {
    const view = this.#view;
    if (view?.role !== "master") return [];
    return this.#publication.slotsWanted(now, { view, spec: this.#spec }, slots);
  }

  #publish(now: Instant, urgency: Urgency): Effect[] {
    const view = this.#view;
    if (view === undefined) return [];
    return this.#publication.publish(now, { view, spec: this.#spec }, urgency);
  }

  #announce(now: Instant): Effect[] {
    return this.#isInterfaceNode ? this.#announcements.announce(now, this.#answered) : [];
  }
}
