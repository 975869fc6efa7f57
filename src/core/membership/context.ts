// What all phases of membership share: who we are, what the configuration says, and the way out for effects.
import type { IpAddress } from "#base/address.ts";
import { NO_NODE, NO_TABLES, sameConfig, type ConfigVersion, type NodeId } from "#base/ids.ts";
import type { TableVersion } from "#base/ids.ts";
import { sameLists } from "#base/same-lists.ts";
import { after, type Instant, instant } from "#base/time.ts";
import { MAX_EPOCH, type Message, type Nonce } from "#wire/cluster/message.ts";
import type {
  AdmittedNode,
  Detection,
  Effect,
  Ignored,
  MembershipSettings,
  Received,
  VoteRule,
} from "./protocol.ts";
import { Quorum } from "./quorum.ts";
import { secondaryOf } from "./roster.ts";
import type { Departure, Member, View } from "./types.ts";

/** One of joining, admitted, offering, following, orphaned, governing. */
export interface Phase {
  readonly deadline: Instant | undefined;
  received(now: Instant, received: Received): void;
  deadlineReached(now: Instant): void;
  /** Configuration, key or tables of the context have changed. */
  settingsChanged(now: Instant, what: "config" | "key" | "tables"): void;
  portUnreachable(now: Instant, address: IpAddress): void;
  /** This node itself did not run for so long after its deadline. */
  stalled(now: Instant, lateMs: number): void;
  /** Last words before the node leaves. */
  leave(): void;
}

/**
 * So often a node that starts stands back because of what others say unasked: that may be a recording, and more of
 * it must not keep the node from starting. A master objects to its offer anyway.
 */
export const MOST_DEFERRALS = 5;
/** Further join requests that are turned down within a second are counted only. */
export const DENIALS_PER_SECOND = 4;

/** A member of the view before, and which start of it has agreed to the change. */
export interface Survivor {
  readonly member: Member;
  readonly boot: bigint;
}

/** A master that is gone, and who is left to replace it (A12). */
export interface Succession {
  readonly master: Member;
  readonly reason: Departure;
  /** Of the last view, the master included. */
  readonly members: readonly Member[];
}

/** How phases follow each other; each call replaces the present phase. */
export interface Transitions {
  /** @param waitMs before the first join request */
  joining(now: Instant, waitMs: number): void;
  admitted(now: Instant, master: Received): void;
  offering(now: Instant, succession: Succession | undefined): void;
  following(now: Instant, master: Received, members: readonly Member[]): void;
  /** @param offer of a candidate that this node agrees with, if it has received one */
  orphaned(now: Instant, succession: Succession, offer: Received | undefined): void;
  governing(now: Instant, survivors: readonly Survivor[], succession: Succession | undefined): void;
}

/**
 * The packet program reads the time of its kernel's last tick, which is up to 10 ms ago (HZ = 100; 4 ms at 250). By as much
 * the right to take frames is given for less long. Half of it where the detection interval is shorter than this is meant for.
 */
export const COARSE_CLOCK_MS = 10;

/** For how long from a moment at which its next keepalive was not yet due a node may take frames (docs/adr/0008). */
export function acceptMs(detectionMs: number, keepaliveMs: number): number {
  const rightMs = detectionMs - keepaliveMs;
  return rightMs - Math.min(COARSE_CLOCK_MS, rightMs / 2);
}

export const LONG_AGO = instant(-Infinity);

/**
 * When a node that was heard at this time may give this one up at the earliest (docs/adr/0029). The last word of this node that it has
 * certainly got is from half a keepalive interval before: a member speaks in the middle between its master's keepalives.
 */
export const givenUpAt = (heardAt: Instant, detectionMs: number, keepaliveMs: number): Instant =>
  after(heardAt, detectionMs - keepaliveMs / 2 - COARSE_CLOCK_MS);

export class Context {
  readonly become: Transitions;
  readonly self: Member;
  readonly boot: bigint;
  config: ConfigVersion;
  admitted: ReadonlyMap<NodeId, AdmittedNode>;
  detection: Detection;
  /** Highest epoch seen. */
  epoch: number;
  tables: TableVersion = NO_TABLES;
  hasKey = false;
  /** Undefined: no application of this node wants to be asked (A10). */
  voteRule: VoteRule | undefined;
  view: View;
  /**
   * For how long from any moment on this node may take frames that every member receives (docs/adr/0008). 0: not at all,
   * since it is no member, or since it did not run for so long that it may have been replaced.
   */
  acceptMs = 0;
  /** When that ends, whatever happens; undefined: nothing says so. */
  acceptBy: Instant | undefined;
  readonly quorum: Quorum;
  /** How often this node has been on its own. */
  solitudes = 0;
  /** When this node's master, or its last one, may give it up at the earliest. */
  givenUpAt = LONG_AGO;
  /** Not a member since its tables were last known to be the cluster's: they may give it what others have by now. */
  hasForeignTables = true;
  #stalledAt: Instant | undefined;
  /** When a master last said, in answer to an offer of this node, that it is there. */
  objectedAt: Instant | undefined;
  #request = 0;
  #ballot = 0;
  #deferrals = 0;
  #denials = 0;
  #denialsSince: Instant | undefined;
  #sequence = 0;
  #effects: Effect[] = [];

  constructor(settings: MembershipSettings, become: Transitions) {
    this.become = become;
    this.self = settings.self;
    this.boot = settings.boot;
    this.config = settings.config;
    this.admitted = byId(settings.admitted);
    this.detection = settings.detection;
    this.epoch = settings.epoch;
    this.quorum = new Quorum(settings.self.id, settings.together, settings.splitOfTwo);
    this.quorum.keepOnly(this.admitted);
    this.view = this.#emptyView("joining");
  }

  emit(effect: Effect): void {
    this.#effects.push(effect);
  }

  ignore(reason: Ignored): void {
    this.emit({ type: "ignored", reason });
  }

  send(to: IpAddress | "everyone", message: Message): void {
    this.emit({ type: "send", to, message });
  }

  /** A2: asks whoever is master to be let in. The number that an answer will quote. */
  askToJoin(): number {
    const { epoch, config, self } = this;
    const request = this.nextRequest();
    this.send("everyone", { type: "join-request", request, epoch, config, mac: self.mac });
    return request;
  }

  /** A11. `perInterval`: how many keepalives this node needs in a detection interval (A17). */
  sendKeepaliveTo(master: Member, perInterval: number): void {
    const { config, tables, self } = this;
    this.send(master.address, {
      type: "member-keepalive",
      sequence: this.nextSequence(),
      master: master.id,
      config,
      tables,
      perInterval,
      mac: self.mac,
    });
  }

  takeEffects(): Effect[] {
    const effects = this.#effects;
    this.#effects = [];
    return effects;
  }

  sawEpoch(epoch: number): void {
    this.epoch = Math.max(this.epoch, Math.min(epoch, MAX_EPOCH));
  }

  /** Above all that was seen. */
  nextEpoch(): number {
    this.sawEpoch(this.epoch + 1);
    return this.epoch;
  }

  /** Whether to stand back for somebody whose word may be a recording. */
  mayDefer(): boolean {
    this.#deferrals += 1;
    return this.#deferrals <= MOST_DEFERRALS;
  }

  /** Whether the configuration names this node; otherwise it must not lead others (A2). */
  get isAdmitted(): boolean {
    return this.admitted.get(this.self.id)?.address === this.self.address;
  }

  /** Whether a node may be master: it is on the segment of the virtual addresses, as far as the configuration says (docs/adr/0022). */
  canLead(id: NodeId): boolean {
    return this.admitted.get(id)?.remote !== true;
  }

  /** `text`: with the reason "application" its words. */
  deny(now: Instant, denied: Omit<Extract<Effect, { type: "join-denied" }>, "type">): void {
    if (this.#denialsSince === undefined || now - this.#denialsSince >= 1000) {
      this.#denialsSince = now;
      this.#denials = 0;
    }
    this.#denials += 1;
    if (this.#denials > DENIALS_PER_SECOND) return this.ignore("unreported-denial");
    this.emit({ type: "join-denied", ...denied });
  }

  /** Never the same twice: a late answer belongs to no other ballot. */
  nextBallot(): number {
    this.#ballot += 1;
    return this.#ballot;
  }

  nextRequest(): number {
    this.#request += 1;
    return this.#request;
  }

  /** Of the last keepalive. */
  get sequence(): number {
    return this.#sequence;
  }

  /** Of keepalives, in whatever role; strictly rising as long as the node runs (A11). */
  nextSequence(): number {
    this.#sequence += 1;
    return this.#sequence;
  }

  /** Whether an answer is to a question asked since `firstRequest`. */
  isOurs(nonce: Nonce, firstRequest: number): boolean {
    return (
      nonce.boot === this.boot && nonce.request >= firstRequest && nonce.request <= this.#request
    );
  }

  /** A right that has run out in the meantime is not simply taken up again. */
  late(now: Instant, lateMs: number): void {
    if (lateMs < this.acceptMs) return;
    this.acceptMs = 0;
    this.#stalledAt = now;
  }

  /** This node is a member by what arrived at that time: what had waited to be read proves nothing. */
  mayAccept(arrivedAt: Instant, forMs: number): void {
    const isNews = this.#stalledAt === undefined || arrivedAt > this.#stalledAt;
    if (!isNews) return;
    this.acceptMs = forMs;
    this.acceptBy = undefined;
  }

  acceptMsAt(now: Instant): number {
    const leftMs = this.acceptBy === undefined ? this.acceptMs : this.acceptBy - now;
    return Math.max(0, Math.min(this.acceptMs, leftMs));
  }

  viewOf(cluster: Cluster): View {
    const secondary = secondaryOf(cluster.members, cluster.master, (id) => this.canLead(id));
    return { ...cluster, secondary };
  }

  /** Without a master: alone, whatever is going on. */
  publishAlone(role: "joining" | "offering"): void {
    this.acceptMs = 0;
    this.solitudes += 1;
    this.hasForeignTables = true;
    this.publish(this.#emptyView(role));
  }

  publish(view: View): void {
    if (view.role === "member" || view.role === "master") this.#deferrals = 0;
    if (sameView(this.view, view)) return;
    this.view = view;
    this.emit({ type: "view-changed", view });
  }

  #emptyView(role: "joining" | "offering"): View {
    return {
      role,
      epoch: this.epoch,
      master: NO_NODE,
      secondary: NO_NODE,
      members: [],
      keepaliveIntervalMs: this.detection.intervalMs,
      config: this.config,
      tables: NO_TABLES,
    };
  }
}

export const byId = (nodes: readonly AdmittedNode[]): ReadonlyMap<NodeId, AdmittedNode> =>
  new Map(nodes.map((node) => [node.id, node]));

interface Cluster {
  readonly role: "member" | "master";
  readonly epoch: number;
  readonly master: NodeId;
  /** Sorted by address. */
  readonly members: readonly Member[];
  readonly keepaliveIntervalMs: number;
  readonly config: ConfigVersion;
  readonly tables: TableVersion;
}

function sameView(a: View, b: View): boolean {
  return (
    a.role === b.role &&
    a.epoch === b.epoch &&
    a.master === b.master &&
    a.keepaliveIntervalMs === b.keepaliveIntervalMs &&
    sameConfig(a.config, b.config) &&
    sameTables(a.tables, b.tables) &&
    sameLists(a.members, b.members, sameMember)
  );
}

const sameTables = (a: TableVersion, b: TableVersion): boolean =>
  a.epoch === b.epoch && a.counter === b.counter && a.master === b.master;

const sameMember = (a: Member, b: Member): boolean =>
  a.id === b.id && a.mac === b.mac && a.address === b.address;
