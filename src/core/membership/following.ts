// Following: a member under a master (A6, A7, A11, A12). Says that it lives, and watches that the master does.
import type { IpAddress } from "#base/address.ts";
import { compareVersions, type ConfigVersion, type NodeId, sameConfig } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import { assert } from "#base/assert.ts";
import {
  type ExitRequest,
  type MasterKeepalive,
  type Message,
  type Nonce,
  type Offer,
  type OtherMasterExists,
  UNASKED,
} from "#wire/cluster/message.ts";
import { REJOIN_MS } from "./admitted.ts";
import { acceptMs, type Context, givenUpAt, type Phase } from "./context.ts";
import { ASK_RIVAL_EVERY_MS } from "./contest.ts";
import { LossEstimate } from "./loss-estimate.ts";
import type { Received } from "./protocol.ts";
import { byAddress, RosterAssembly } from "./roster.ts";
import { Silence } from "./silence.ts";
import type { Departure, Hearing, Member } from "./types.ts";

/** So many members answer a candidate that alone misses the master; more would only be noise. */
const OBJECTORS = 3;
/** A member that the master does not list any more asks to join, should the exit request have been lost. */
export const UNLISTED_MS = 500;

/** A candidate that misses the master, and when this node agrees with it. */
interface Candidacy {
  readonly received: Received;
  readonly agreeAt: Instant;
}

/** Another master, as long as it has not proved that it is one. */
interface Contender {
  readonly received: Received;
  readonly keepalive: MasterKeepalive;
  readonly request: number;
  readonly askedAt: Instant;
}

export class Following implements Phase {
  readonly #context: Context;
  readonly #master: Member;
  /** Which start of the master is followed. */
  readonly #boot: bigint;
  readonly #silence: Silence;
  readonly #loss = new LossEstimate();
  #last: MasterKeepalive;
  /** When it arrived. */
  #lastAt: Instant;
  #members: readonly Member[];
  #roster = new RosterAssembly();
  #keepaliveAt: Instant;
  #unlistedSince: Instant | undefined;
  #wanted: ConfigVersion | undefined;
  #contender: Contender | undefined;
  /** When a master was heard last that was elected later than this node's. */
  #laterAt: Instant | undefined;
  /** Since when this node has been asked to agree that the master is gone. */
  #offeredAt: Instant | undefined;
  #candidacy: Candidacy | undefined;

  constructor(context: Context, now: Instant, received: Received, members: readonly Member[]) {
    const { message, sender, from } = received;
    assert(message.type === "master-keepalive", "a master is followed when its keepalive comes");
    this.#context = context;
    const listed = members.find(({ id }) => id === sender);
    this.#master = listed ?? { id: sender, address: from, mac: context.self.mac };
    this.#boot = received.boot;
    this.#members = members;
    this.#last = message;
    this.#lastAt = received.at;
    this.#silence = new Silence(message.detectionMs, received.at);
    this.#keepaliveAt = now;
  }

  begin(now: Instant, keepalive: MasterKeepalive): void {
    this.#heardKeepalive(now, this.#lastAt, keepalive);
    this.#sendKeepalive(now);
  }

  get hearings(): readonly Hearing[] {
    const { id } = this.#master;
    return [{ id, loss: this.#loss.loss, heardAt: this.#silence.lengthSince }];
  }

  get deadline(): Instant | undefined {
    return earliest(earliest(this.#keepaliveAt, this.#silence.deadline), this.#candidacy?.agreeAt);
  }

  get #intervalMs(): number {
    return this.#last.detectionMs / this.#last.perInterval;
  }

  deadlineReached(now: Instant): void {
    if (now >= this.#keepaliveAt) this.#sendKeepalive(now);
    if (this.#unlistedSince !== undefined && now >= after(this.#unlistedSince, UNLISTED_MS)) {
      return this.#context.become.joining(now, 0);
    }
    if (this.#candidacy !== undefined && now >= this.#candidacy.agreeAt) {
      return this.#lose(now, this.#silence.cause, this.#candidacy.received);
    }
    switch (this.#silence.check(now)) {
      case "waiting":
        return;
      case "probe":
        return this.#context.send(this.#master.address, { type: "probe" });
      case "expired":
        return this.#lose(now, this.#silence.cause, this.#candidacy?.received);
    }
  }

  #lose(now: Instant, reason: Departure, offer: Received | undefined): void {
    if (this.#hearsLaterMaster(now)) return this.#context.become.joining(now, 0);
    const members = this.#members;
    this.#context.become.orphaned(now, { master: this.#master, reason, members }, offer);
  }

  /**
   * Since its own master's last word: that one may have been lost to the others long ago, while this node did not run. A master elected
   * here would end the reign of the later one, and know nothing of what was opened under it.
   */
  #hearsLaterMaster(now: Instant): boolean {
    const at = this.#laterAt;
    if (at === undefined || at <= this.#silence.lengthSince) return false;
    return now < after(at, this.#last.detectionMs);
  }

  #sendKeepalive(now: Instant): void {
    // in the middle between two of the master's: each of them knows of the other's last but one word (docs/adr/0029)
    const middle = after(this.#lastAt, this.#intervalMs / 2);
    this.#keepaliveAt = now < middle ? middle : after(now, this.#intervalMs);
    this.#context.sendKeepaliveTo(this.#master, this.#loss.perInterval);
  }

  received(now: Instant, received: Received): void {
    const { message, sender } = received;
    const fromMaster = sender === this.#master.id;
    switch (message.type) {
      case "master-keepalive":
        if (!fromMaster) return this.#otherMaster(now, received, message);
        // a recording of an earlier start is no sign of life
        if (received.boot < this.#boot) return this.#context.ignore("unexpected");
        // it has started anew and become master again: of that cluster this node is no member
        if (received.boot > this.#boot) return this.#context.become.joining(now, REJOIN_MS);
        this.#silence.heard(received.at);
        this.#offeredAt = undefined;
        this.#candidacy = undefined;
        return this.#heardKeepalive(now, received.at, message);
      case "probe":
        if (fromMaster) this.#sendKeepalive(now);
        return;
      case "offer":
        return this.#offered(now, received, message);
      case "exit-request":
        if (!fromMaster) return this.#context.ignore("unexpected");
        return this.#toldToLeave(now, sender, message);
      case "goodbye":
        if (fromMaster && received.boot === this.#boot) this.#lose(now, "left", undefined);
        return;
      case "other-master-exists":
        return this.#heardClaim(now, received, message);
      case "join-request":
      case "join-accepted":
      case "join-refused":
      case "join-wait":
      case "offer-accepted":
      case "member-keepalive":
        return; // for a master, or for a node that wants to join
    }
  }

  #heardKeepalive(now: Instant, at: Instant, keepalive: MasterKeepalive): void {
    this.#context.sawEpoch(keepalive.epoch);
    if (keepalive.sequence < this.#last.sequence) return; // overtaken on the way
    this.#last = keepalive;
    this.#lastAt = at;
    this.#loss.received(keepalive.sequence);
    this.#silence.intervalMs = keepalive.detectionMs;
    this.#keepaliveAt = earliest(this.#keepaliveAt, after(at, this.#intervalMs / 2)) ?? now;
    const members = this.#roster.add(keepalive);
    if (members !== undefined) {
      const listed = members.some(({ id }) => id === this.#context.self.id);
      this.#unlistedSince = listed ? undefined : (this.#unlistedSince ?? now);
      if (listed) this.#members = members;
    }
    this.#renewRight();
    this.#publish();
    this.#together(now);
    this.#compareConfig(keepalive.config);
  }

  #together(now: Instant): void {
    const { detectionMs } = this.#last;
    this.#context.givenUpAt = givenUpAt(this.#lastAt, detectionMs, this.#intervalMs);
    const ids = this.#members.map(({ id }) => id);
    this.#context.quorum.told(now, ids, detectionMs, this.#last.isMost);
  }

  /** Whoever is not listed any more may have been replaced already, and whoever is new may have tables from before. */
  #renewRight(): void {
    const { tables } = this.#context;
    const isCurrent =
      tables.master === this.#master.id && compareVersions(tables, this.#last.tables) >= 0;
    if (isCurrent) this.#context.hasForeignTables = false;
    // its slots have other owners meanwhile, by tables that it may not get before it is listed again
    if (this.#unlistedSince !== undefined) this.#context.hasForeignTables = true;
    if (this.#context.hasForeignTables) {
      this.#context.acceptMs = 0;
    } else {
      this.#context.mayAccept(this.#lastAt, acceptMs(this.#last.detectionMs, this.#intervalMs));
    }
  }

  #publish(): void {
    const { epoch, config, tables } = this.#last;
    this.#context.publish(
      this.#context.viewOf({
        role: "member",
        epoch,
        master: this.#master.id,
        members: this.#members,
        keepaliveIntervalMs: this.#intervalMs,
        config,
        tables,
      }),
    );
  }

  /** Asks once for each new version: the main thread may be getting it already (A4). */
  #compareConfig(version: ConfigVersion): void {
    if (sameConfig(version, this.#context.config)) {
      this.#wanted = undefined;
      return;
    }
    if (this.#wanted !== undefined && sameConfig(version, this.#wanted)) return;
    this.#wanted = version;
    this.#context.emit({
      type: "config-wanted",
      version,
      from: this.#master.id,
      address: this.#master.address,
    });
  }

  /**
   * Whoever was elected later and lists this node may be its master (A5). Every member holds the key that made
   * this keepalive, so that master is asked for a claim under its certificate.
   */
  #otherMaster(now: Instant, received: Received, keepalive: MasterKeepalive): void {
    this.#context.sawEpoch(keepalive.epoch);
    if (keepalive.epoch <= this.#last.epoch) return;
    this.#laterAt = received.at;
    const listed = keepalive.members.some(({ id }) => id === this.#context.self.id);
    if (!listed) return;
    if (this.#contender !== undefined && now < after(this.#contender.askedAt, ASK_RIVAL_EVERY_MS)) {
      return;
    }
    const request = this.#context.nextRequest();
    this.#contender = { received, keepalive, request, askedAt: now };
    this.#context.send(received.from, this.#aboutMaster(UNASKED, request));
  }

  #heardClaim(now: Instant, { sender }: Received, claim: OtherMasterExists): void {
    this.#context.sawEpoch(claim.epoch);
    const contender = this.#contender;
    if (contender === undefined || contender.received.sender !== sender) return;
    if (claim.master !== sender || !this.#context.isOurs(claim.nonce, contender.request)) return;
    this.#contender = undefined;
    if (claim.epoch <= this.#last.epoch || claim.members === 0) return;
    const members = new RosterAssembly().add(contender.keepalive) ?? this.#members;
    this.#context.become.following(now, contender.received, members);
  }

  /** What a member knows of its master: an objection, or a question to another one. */
  #aboutMaster(nonce: Nonce, request: number): Message {
    const { epoch, config, memberCount: members } = this.#last;
    const master = this.#master.id;
    return { type: "other-master-exists", nonce, request, master, epoch, config, members };
  }

  /**
   * A12: agrees with a candidate that misses the same master, and tells it when the master lives. The candidate may have lost
   * the master's last keepalive, so whoever has heard that one agrees only when its own interval ends: until then
   * the old master may take frames (docs/adr/0008). But in time for the candidate to count it.
   */
  #offered(now: Instant, received: Received, offer: Offer): void {
    this.#context.sawEpoch(offer.epoch);
    if (offer.silent !== this.#master.id) return; // the master itself objects
    this.#offeredAt ??= now;
    if (this.#silence.isDoubtful(now)) {
      const latest = after(this.#offeredAt, this.#context.detection.offerMs / 2);
      const agreeAt = earliest(this.#silence.endsAt, latest) ?? now;
      if (now >= agreeAt) return this.#lose(now, this.#silence.cause, received);
      this.#candidacy = { received, agreeAt };
      return;
    }
    const others = this.#members.filter(
      ({ id }) => id !== this.#master.id && id !== received.sender,
    );
    const rank = others.sort(byAddress).findIndex(({ id }) => id === this.#context.self.id);
    if (rank >= OBJECTORS) return;
    const nonce = { boot: received.boot, request: offer.request };
    this.#context.send(received.from, this.#aboutMaster(nonce, this.#context.nextRequest()));
  }

  #toldToLeave(now: Instant, from: NodeId, { reason, config }: ExitRequest): void {
    if (reason === "configuration") {
      this.#context.emit({
        type: "config-wanted",
        version: config,
        from,
        address: this.#master.address,
      });
    }
    this.#context.become.joining(now, REJOIN_MS);
  }

  settingsChanged(now: Instant, what: "config" | "key" | "tables"): void {
    if (what === "tables") this.#renewRight();
    this.#sendKeepalive(now); // the master learns at once what is in force here
  }

  portUnreachable(now: Instant, address: IpAddress): void {
    if (address === this.#master.address) this.#silence.refused(now);
  }

  stalled(now: Instant, _lateMs: number): void {
    this.#silence.excuse(now);
  }

  leave(): void {
    for (let i = 0; i < 2; i++) this.#context.send(this.#master.address, { type: "goodbye" });
  }
}
