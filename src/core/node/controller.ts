// Decides what a node does with what membership and the configuration tell it: where the VIPs are, whom it follows,
// and, while it is master, that tables are published (publication.ts).
//
// Not here: elections (core/membership), slot arithmetic (core/steering), sockets (daemon).
import { NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { Departure, View } from "#core/membership/types.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { ClusterSpec } from "./cluster-spec.ts";
import type { Effect, Input } from "./protocol.ts";
import { Publication, type PublicationState, type Urgency } from "./publication.ts";

/** When the VIPs are announced again after a take-over: caches and switches miss single frames. */
export const ANNOUNCE_AGAIN_MS = [50, 200, 1000, 3000] as const;
/** Afterwards, for as long as the node is the interface node (a neighbour may have been away). */
export const ANNOUNCE_EVERY_MS = 30_000;

export interface ControllerState extends PublicationState {
  readonly spec: ClusterSpec;
}

export class Controller {
  readonly #publication: Publication;
  #spec: ClusterSpec;
  #view: View | undefined;
  #announced = 0;
  #announceAt: Instant | undefined;

  constructor(state: ControllerState) {
    this.#spec = state.spec;
    this.#publication = new Publication(state);
  }

  /** The newest tables, installed or about to be. */
  get tables(): Tables | undefined {
    return this.#publication.tables;
  }

  get deadline(): Instant | undefined {
    return earliest(this.#publication.deadline, this.#announceAt);
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
    const { tables } = this;
    const placed = this.#placeVips();
    return tables === undefined ? [placed] : [placed, { type: "install-tables", tables }];
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
    for (const { id } of view.members) this.#publication.present(id);
    const effects: Effect[] = [];
    if (view.role === "master" && before?.role !== "master") {
      effects.push(...this.#becomeMaster(now, view));
    } else if (view.role === "master") {
      effects.push(...this.#membersChanged(now, view, before));
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

  #becomeMaster(now: Instant, view: View): Effect[] {
    this.#announced = 0;
    const published = this.#publication.becomeMaster(now, { view, spec: this.#spec });
    return [this.#placeVips(), ...this.#announce(now), ...published];
  }

  #membersChanged(now: Instant, view: View, before: View | undefined): Effect[] {
    const present = new Set(view.members.map(({ id }) => id));
    const departed = (before?.members ?? []).filter(({ id }) => !present.has(id));
    for (const { id } of departed) this.#publication.departed(id);
    return this.#publish(now, departed.length > 0 ? "urgent" : "planned");
  }

  #standDown(): Effect[] {
    this.#publication.standDown();
    this.#announceAt = undefined;
    return [this.#placeVips()];
  }

  #confirmed(now: Instant, id: NodeId, reason: Departure): Effect[] {
    if (reason !== "silent" || !this.#publication.silenced(id)) return [];
    return this.#isMaster ? this.#publish(now, "planned") : [];
  }

  #specChanged(now: Instant, spec: ClusterSpec): Effect[] {
    this.#spec = spec;
    const effects: Effect[] = [this.#placeVips()];
    if (this.#isMaster) effects.push(...this.#announce(now), ...this.#publish(now, "planned"));
    return effects;
  }

  #received(tables: Tables): Effect[] {
    if (this.#isMaster || !this.#publication.adopt(tables)) return [];
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

  #deadlineReached(now: Instant): Effect[] {
    const effects = this.#publication.deadlineReached(now);
    if (this.#announceAt !== undefined && now >= this.#announceAt)
      effects.push(...this.#announce(now));
    return effects;
  }

  #publish(now: Instant, urgency: Urgency): Effect[] {
    const view = this.#view;
    if (view === undefined) return [];
    return this.#publication.publish(now, { view, spec: this.#spec }, urgency);
  }

  #announce(now: Instant): Effect[] {
    const wait = ANNOUNCE_AGAIN_MS[this.#announced] ?? ANNOUNCE_EVERY_MS;
    this.#announced += 1;
    this.#announceAt = after(now, wait);
    return [{ type: "announce-vips", vips: this.#spec.vips }];
  }
}
