// Turns what happens on this node into events of the catalogue: ids become names, effects become facts, what repeats is kept once. What
// needs thought, namely causes and differences of tables, is in core/node/annals.ts. Everything is done in the turn after it happened, in
// the order in which it happened, so that no failover waits for it.
import { clusterMac } from "#base/delivery.ts";
import { compareVersions, NO_NODE, type NodeId, type TableVersion } from "#base/ids.ts";
import type { Instant } from "#base/time.ts";
import type { Move, NewEvent } from "#api/event-catalogue.ts";
import { differencesOf } from "#config/differences.ts";
import type { ClusterConfig, NodeConfig } from "#config/schema.ts";
import type { View } from "#core/membership/types.ts";
import { Annals, type Recorded, type SlotMove, type TablesChange } from "#core/node/annals.ts";
import type { Effect, Input } from "#core/node/protocol.ts";
import type { Tables } from "#core/steering/tables.ts";
import type { HealthReport, InstanceReport, InstanceState } from "#wire/control/health-report.ts";
import { clusterSpec } from "../cluster-spec.ts";
import type { ConfigInForce, ConfigStore } from "../config-store.ts";
import type { HeartEvent } from "../heart-protocol.ts";
import type { Refusal } from "../refusal-log.ts";
import type { StateFolder } from "../state-folder.ts";
import { Seldom } from "../seldom.ts";
import type { Trouble } from "../trouble.ts";
import type { EventLog } from "./event-log.ts";

const MAX_MOVES = 32;
const MAX_DIFFERENCES = 40;

/** An operator's change, on its way to come into force. */
export interface Asked {
  readonly change: string;
  /** The member that passed it on. */
  readonly via?: NodeId;
}

export interface RecorderOptions {
  readonly self: NodeId;
  readonly config: ConfigInForce;
  /** In force since before this start. */
  readonly tables: Tables | undefined;
  readonly record: (event: NewEvent, atMs: number) => void;
  readonly trouble: Trouble;
  readonly clock: () => Instant;
}

/** What of a node it is made from. */
interface NodeParts extends Pick<RecorderOptions, "trouble" | "clock"> {
  readonly self: NodeConfig;
  readonly store: Pick<ConfigStore, "current">;
  readonly state: Pick<StateFolder, "tables">;
}

const HEALTH_CAUSES = { up: "passed", down: "failed", unknown: "unknown" } as const;

type AnnounceVips = Extract<Effect, { type: "announce-vips" }>;

export class Recorder {
  readonly #options: RecorderOptions;
  readonly #annals: Annals;
  readonly #seldom = new Seldom();
  #config: ConfigInForce;
  #asked: Asked | undefined;
  #members = 0;
  #published: Tables | undefined;
  #installed: Tables | undefined;
  #answered: readonly string[] = [];
  #announced = "";
  /** State by group, of each node that has reported; no more than there are node ids. */
  readonly #health = new Map<NodeId, ReadonlyMap<string, InstanceState>>();

  static into(log: EventLog, { self, store, state, trouble, clock }: NodeParts): Recorder {
    return new Recorder({
      self: self.id,
      config: store.current,
      tables: state.tables(),
      record: (event, atMs) => log.record(event, atMs),
      trouble,
      clock,
    });
  }

  constructor(options: RecorderOptions) {
    this.#options = options;
    this.#config = options.config;
    this.#annals = new Annals(options.self, clusterSpec(options.config.config));
    this.#published = this.#installed = options.tables;
  }

  /** For events that need no thought, such as those of health checks. */
  event(event: NewEvent): void {
    this.#later((atMs) => this.#options.record(event, atMs));
  }

  /** What a member says of its instances (B7); also this node, where it is master. Only what changed is recorded. */
  healthReported(id: NodeId, { groups }: HealthReport): void {
    this.#later((atMs) => {
      const before = this.#health.get(id);
      this.#health.set(id, new Map(groups.map(({ name, state }) => [name, state])));
      for (const instance of groups) {
        const was = before?.get(instance.name);
        // what was never told of counts as working: only then is "works" no news
        if (instance.state === (was ?? "up")) continue;
        this.#annals.healthChanged(instance.name, id, instance.state === "up");
        this.#options.record(this.#healthInWords(id, instance, was), atMs);
      }
    });
  }

  #healthInWords(id: NodeId, instance: InstanceReport, was: InstanceState | undefined): NewEvent {
    const { name, state, reason } = instance;
    return {
      type: "health-changed",
      cause: HEALTH_CAUSES[state],
      member: this.#nameOf(id),
      group: name,
      state,
      ...(was === undefined ? {} : { before: was }),
      ...(reason === "" ? {} : { detail: reason }),
    };
  }

  #later(act: (atMs: number) => void): void {
    const atMs = Date.now();
    setImmediate(() => this.#options.trouble.guard("record an event", () => act(atMs)));
  }

  #nameOf(id: NodeId): string {
    return this.#config.config.nodes.find((node) => node.id === id)?.name ?? `node-${id}`;
  }

  #named<K extends string>(key: K, id: NodeId): { readonly [P in K]?: string } {
    return id === NO_NODE ? {} : ({ [key]: this.#nameOf(id) } as { [P in K]: string });
  }

  refused(refusal: Refusal): void {
    this.event({ type: "connection-refused", ...refusal });
  }

  fromHeart(event: HeartEvent): void {
    switch (event.type) {
      case "member-departed":
        return this.#later(() => this.#annals.departing(event.id, event.reason));
      case "lost-mastership":
        return this.#later(() => this.#annals.lostMastership(event.to));
      case "departure-confirmed":
        return this.#later((atMs) => {
          this.#annals.departing(event.id, event.reason);
          const member = this.#nameOf(event.id);
          this.#options.record({ type: event.type, member, cause: event.reason }, atMs);
        });
      case "join-denied":
      case "refused":
      case "address-conflict":
        return this.#unwelcome(event);
      case "vote-unanswered": {
        const { type, id, outcome } = event;
        return this.event({ type, member: this.#nameOf(id), outcome });
      }
      case "admitted-by":
      case "announce-wanted":
      case "became-master":
      case "config-wanted":
      case "counters":
      case "failed":
      case "left":
      case "machine-gone":
      case "member-joined":
      case "started":
      case "together-changed":
      case "view-changed":
      case "vote-wanted":
        return;
    }
  }

  /** Strangers can cause these as often as they like. */
  #unwelcome(
    event: Extract<HeartEvent, { type: "join-denied" | "refused" | "address-conflict" }>,
  ): void {
    const untold = this.#seldom.ask(this.#options.clock(), kindOf(event));
    if (untold === undefined) return;
    const unsaid = untold === 0 ? {} : { unsaid: untold };
    switch (event.type) {
      case "join-denied": {
        const { type, sender, address, reason, text } = event;
        const words = text === undefined ? {} : { text };
        const member = this.#nameOf(sender);
        return this.event({ type, member, address, cause: reason, ...words, ...unsaid });
      }
      case "refused": {
        const { by, reason, text } = event;
        const words = text === undefined ? {} : { text };
        return this.event({
          type: "join-refused",
          by: this.#nameOf(by),
          cause: reason,
          ...words,
          ...unsaid,
        });
      }
      case "address-conflict": {
        const { type, address, stayingOut } = event;
        const outcome = stayingOut ? "stays-out" : "goes-on";
        return this.event({ type, address, outcome, ...unsaid });
      }
    }
  }

  viewChanged(view: View): void {
    this.#later((atMs) => {
      this.#members = view.members.length;
      for (const recorded of this.#annals.viewChanged(view)) {
        this.#options.record(this.#inWords(recorded), atMs);
      }
    });
  }

  #inWords(recorded: Recorded): NewEvent {
    switch (recorded.type) {
      case "role-changed": {
        const { type, role, before } = recorded;
        return { type, role, ...(before === undefined ? {} : { before }) };
      }
      case "master-elected": {
        const { type, epoch, cause, before } = recorded;
        const master = this.#nameOf(recorded.master);
        return { type, master, epoch, cause, ...this.#named("before", before) };
      }
      case "master-deposed": {
        const { type, cause, by } = recorded;
        const master = this.#nameOf(recorded.master);
        return { type, master, cause, ...this.#named("by", by) };
      }
      case "member-joined": {
        const { type, member } = recorded;
        return { type, member: this.#nameOf(member.id), address: member.address };
      }
      case "member-left": {
        const { type, member, cause } = recorded;
        return { type, member: this.#nameOf(member.id), address: member.address, cause };
      }
    }
  }

  /** What the controller was told, and what it decided, once that has been performed. */
  stepped(input: Input, effects: readonly Effect[]): void {
    if (input.type === "health-reported") this.healthReported(input.id, input.report);
    this.performed(effects);
  }

  performed(effects: readonly Effect[]): void {
    for (const effect of effects) {
      if (effect.type === "replicate-tables") {
        this.#later((atMs) => this.#tablesPublished(effect.tables, atMs));
      } else if (effect.type === "place-vips") {
        this.#later((atMs) => this.#vipsPlaced(effect.answered, atMs));
      } else if (effect.type === "announce-vips") {
        this.#later((atMs) => this.#vipsAnnounced(effect, atMs));
      }
    }
  }

  #tablesPublished(tables: Tables, atMs: number): void {
    const before = this.#published;
    this.#published = tables;
    const change = this.#changeOf(before, tables);
    this.#options.record(
      {
        type: "tables-published",
        members: Math.max(this.#members - 1, 0),
        ...this.#tablesInWords(tables.version, change),
      },
      atMs,
    );
  }

  /** The packet program goes by them now. */
  tablesInForce(tables: Tables): void {
    this.#later((atMs) => {
      const before = this.#installed;
      if (before !== undefined && compareVersions(before.version, tables.version) === 0) return;
      this.#installed = tables;
      const change = this.#changeOf(before, tables);
      this.#options.record(
        { type: "tables-installed", ...this.#tablesInWords(tables.version, change) },
        atMs,
      );
      this.#vipsMoved(tables, atMs);
      const [method, old] = [tables.delivery.method, before?.delivery.method];
      if (old === undefined || old === method) return;
      this.#options.record({ type: "delivery-changed", method, before: old }, atMs);
    });
  }

  #vipsMoved(tables: Tables, atMs: number): void {
    for (const { from, to, cause, vips } of this.#annals.vipsMoved(tables)) {
      const places = { from: this.#nameOf(from), to: this.#nameOf(to) };
      const fields = { ...places, vips: vips.slice(0, MAX_MOVES), moved: vips.length };
      this.#options.record({ type: "vip-moved", cause, ...fields }, atMs);
    }
  }

  /** What is installed is mostly what was published just before; a million slots are compared once. */
  #last: { before: Tables | undefined; after: Tables; change: TablesChange } | undefined;

  #changeOf(before: Tables | undefined, after: Tables): TablesChange {
    if (this.#last?.before === before && this.#last?.after === after) return this.#last.change;
    const change = this.#annals.tablesChanged(before, after);
    this.#last = { before, after, change };
    return change;
  }

  #tablesInWords({ epoch, counter, master }: TableVersion, { cause, moved, moves }: TablesChange) {
    const version = `${epoch}.${counter}@${this.#nameOf(master)}`;
    return {
      version,
      cause,
      moved,
      moves: moves.slice(0, MAX_MOVES).map((move) => this.#move(move)),
    };
  }

  #move({ group, from, to, slots, cause }: SlotMove): Move {
    return { group, ...this.#named("from", from), ...this.#named("to", to), slots, cause };
  }

  #vipsPlaced(answered: readonly string[], atMs: number): void {
    const before = this.#answered;
    this.#answered = answered;
    const taken = answered.filter((vip) => !before.includes(vip));
    const givenUp = before.filter((vip) => !answered.includes(vip));
    if (givenUp.length > 0) this.#options.record({ type: "vips-given-up", vips: givenUp }, atMs);
    if (taken.length > 0) this.#options.record({ type: "vips-taken", vips: taken }, atMs);
    if (answered.length === 0) this.#announced = "";
  }

  #vipsAnnounced({ vips, delivery: { method, primary } }: AnnounceVips, atMs: number): void {
    const mac =
      method === "forward" || primary === undefined ? {} : { mac: clusterMac(method, primary) };
    const said = JSON.stringify([vips, mac]);
    if (said === this.#announced || vips.length === 0) return;
    this.#announced = said;
    this.#options.record({ type: "vips-announced", vips: [...vips], ...mac }, atMs);
  }

  /** An operator's change is about to come into force here, or to fail. */
  asked<T>(asked: Asked, make: () => T): T {
    this.#asked = asked;
    try {
      return make();
    } finally {
      this.#asked = undefined;
    }
  }

  configInForce(next: ConfigInForce): void {
    const before = this.#config;
    this.#config = next;
    if (before.version.counter === next.version.counter && before.yaml === next.yaml) return;
    const asked = this.#asked;
    this.#later((atMs) => {
      this.#annals.specChanged(clusterSpec(next.config));
      this.#options.record(this.#configChanged(before.config, next, asked), atMs);
    });
  }

  #configChanged(
    before: ClusterConfig,
    { version, config }: ConfigInForce,
    asked: Asked | undefined,
  ): NewEvent {
    const via = asked?.via;
    return {
      type: "config-changed",
      cause: asked === undefined ? "master" : via === undefined ? "operator" : "member",
      counter: version.counter,
      digest: version.digest,
      ...(asked === undefined ? {} : { change: asked.change }),
      ...(via === undefined ? {} : { via: this.#nameOf(via) }),
      differences: differencesOf(before, config, MAX_DIFFERENCES),
    };
  }
}

function kindOf(
  event: Extract<HeartEvent, { type: "join-denied" | "refused" | "address-conflict" }>,
): string {
  switch (event.type) {
    case "join-denied":
      return `${event.type} ${event.sender} ${event.reason}`;
    case "refused":
      return `${event.type} ${event.reason}`;
    case "address-conflict":
      return event.type;
  }
}
