// Governing: this node is master (A2, A5-A7, A9). Admits nodes, watches members, publishes who belongs.
import type { IpAddress } from "#base/address.ts";
import { type ConfigVersion, type NodeId, sameConfig } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import {
  type JoinRequest,
  type MasterKeepalive,
  type MemberKeepalive,
  type Message,
  type Nonce,
  type OtherMasterExists,
  UNASKED,
} from "#wire/cluster/message.ts";
import { Absences } from "./absences.ts";
import { Admissions } from "./admissions.ts";
import { REJOIN_MS } from "./admitted.ts";
import {
  type Context,
  givenUpAt,
  LONG_AGO,
  type Phase,
  type Succession,
  type Survivor,
} from "./context.ts";
import { Contest, type Rival, rivalOf } from "./contest.ts";
import { Departures } from "./departures.ts";
import { Defectors } from "./defectors.ts";
import { Expulsions } from "./expulsions.ts";
import { FEWEST_PER_INTERVAL } from "./loss-estimate.ts";
import { MemberWatch } from "./member-watch.ts";
import type { Received, Verdict } from "./protocol.ts";
import { byAddress, rosterParts, type RosterPart } from "./roster.ts";
import type { Departure, Hearing, Member } from "./types.ts";

/** Between signed announcements, which also reach nodes without our group key (A5). */
export const BEACON_EVERY_MS = 1000;
/** The first keepalive of a new master, which lists its members, comes before its first announcement. */
const FIRST_BEACON_MS = 100;
/** During a roll-out members run another configuration for so long without being sent away (A4). */
export const ROLL_OUT_MS = 2000;
/** At most one answer to a stray member, and one announcement, in this time. */
const ANSWER_EVERY_MS = 50;

export class Governing implements Phase {
  readonly #context: Context;
  readonly #watches = new Map<NodeId, MemberWatch>();
  readonly #absences: Absences;
  readonly #departures: Departures;
  readonly #admissions: Admissions;
  readonly #contest: Contest;
  readonly #expulsions = new Expulsions();
  readonly #defectors: Defectors;
  #epoch: number;
  /** As its keepalives list them: sorted by address, with this node. */
  #members: readonly Member[] = [];
  #parts: readonly RosterPart[] = [];
  #nextPart = 0;
  #roster = 0;
  #perInterval = FEWEST_PER_INTERVAL;
  #keepaliveAt: Instant;
  #beaconAt: Instant;
  /** No member's deadline is earlier. */
  #checkAt: Instant;
  #answerAt: Instant;
  #announceAt: Instant;
  #rollOutUntil: Instant;
  /** Counter of the newest configuration that a member had before this machine. */
  #newestSeen = 0;
  /** This node did not run for so long that it may have been replaced meanwhile. */
  #doubtUntil: Instant | undefined;

  constructor(context: Context, now: Instant, survivors: readonly Survivor[]) {
    this.#context = context;
    this.#absences = new Absences(context);
    this.#defectors = new Defectors(context);
    this.#departures = new Departures(context, this.#absences);
    this.#admissions = new Admissions(context);
    this.#contest = new Contest(context, now);
    this.#epoch = context.nextEpoch();
    this.#keepaliveAt = now;
    this.#beaconAt = after(now, FIRST_BEACON_MS);
    this.#checkAt = now;
    this.#answerAt = now;
    this.#announceAt = now;
    this.#rollOutUntil = after(now, ROLL_OUT_MS);
    for (const { member, boot } of survivors) this.#watch(now, member, boot);
  }

  begin(now: Instant, succession: Succession | undefined): void {
    this.#context.hasForeignTables = false;
    this.#context.emit({ type: "became-master", epoch: this.#epoch });
    // before the view, as always: who is told of the view knows the reasons (A10)
    for (const { id, address } of succession?.members ?? []) {
      if (id === this.#context.self.id || this.#watches.has(id)) continue;
      const reason = id === succession?.master.id ? succession.reason : "silent";
      this.#announceDeparture(now, id, address, reason);
    }
    this.#watchAbsent(now, succession?.members ?? []);
    this.#rosterChanged(now);
    this.deadlineReached(now);
  }

  /** The tables may name nodes that had left the master before this one, or that were members before a restart of everything. */
  #watchAbsent(now: Instant, inherited: readonly Member[]): void {
    for (const { id, address } of this.#context.admitted.values()) {
      const isKnown = id === this.#context.self.id || this.#watches.has(id);
      if (isKnown || inherited.some((member) => member.id === id)) continue;
      this.#absences.watch(now, id, address);
    }
  }

  get deadline(): Instant | undefined {
    const own = earliest(this.#keepaliveAt, this.#beaconAt, this.#checkAt);
    const gone = earliest(this.#departures.deadline, this.#absences.deadline);
    return earliest(earliest(own, gone), this.#expulsions.deadline, this.#admissions.deadline);
  }

  get #intervalMs(): number {
    return this.#context.detection.intervalMs / this.#perInterval;
  }

  deadlineReached(now: Instant): void {
    if (now >= this.#checkAt) this.#checkMembers(now);
    for (const member of this.#expulsions.due(now)) this.#expelled(now, member);
    this.#departures.deadlineReached(now);
    this.#absences.deadlineReached(now);
    this.#admissions.deadlineReached(now, this.#watches);
    if (now >= this.#keepaliveAt) this.#sendKeepalive(now);
    if (now >= this.#beaconAt) {
      this.#beaconAt = after(now, BEACON_EVERY_MS);
      const request = this.#contest.beacon();
      if (!this.inDoubt(now)) this.#claimAs(this.#members.length, "everyone", UNASKED, request);
    }
  }

  get hearings(): readonly Hearing[] {
    return Array.from(this.#watches.values(), ({ hearing }) => hearing);
  }

  /** When a node may give this master up at the earliest. One that this master has given up may have done so long ago. */
  readonly givenUpBy = (id: NodeId): Instant => {
    const heardAt = this.#watches.get(id)?.silence.lengthSince ?? LONG_AGO;
    return givenUpAt(heardAt, this.#context.detection.intervalMs, this.#intervalMs);
  };

  /** What waited to be read may be old, and its senders may have another master by now: no claims then. */
  inDoubt(now: Instant): boolean {
    return this.#doubtUntil !== undefined && now < this.#doubtUntil;
  }

  #checkMembers(now: Instant): void {
    let next = after(now, this.#context.detection.intervalMs);
    for (const [id, { silence, member }] of this.#watches) {
      const verdict = silence.check(now);
      if (verdict === "expired") this.#depart(now, id, silence.cause);
      else {
        if (verdict === "probe") this.#context.send(member.address, { type: "probe" });
        next = earliest(next, silence.deadline) ?? next;
      }
    }
    this.#checkAt = next;
  }

  #watch(now: Instant, member: Member, boot: bigint): void {
    const watch = new MemberWatch(member, boot, this.#context.detection.intervalMs, now);
    this.#watches.set(member.id, watch);
    this.#departures.forget(member.id);
    this.#absences.forget(member.id);
    this.#checkAt = earliest(this.#checkAt, watch.silence.deadline) ?? now;
  }

  #depart(now: Instant, id: NodeId, reason: Departure): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    this.#defectors.forget(id);
    this.#admissions.departed(id);
    // before the view: slots of a dead node move at once, those of other changes wait for acknowledgements
    this.#announceDeparture(now, id, watch.member.address, reason);
    this.#rosterChanged(now);
  }

  #announceDeparture(now: Instant, id: NodeId, address: IpAddress, reason: Departure): void {
    this.#context.emit({ type: "member-departed", id, reason });
    if (reason === "silent") return this.#departures.watch(now, id, address);
    this.#context.quorum.gone(id, reason === "left");
    this.#context.emit({ type: "departure-confirmed", id, reason });
    this.#absences.watch(now, id, address);
  }

  /** The whole list goes out at once. */
  #rosterChanged(now: Instant): void {
    const others = Array.from(this.#watches.values(), ({ member }) => member);
    this.#members = [this.#context.self, ...others].sort(byAddress);
    this.#parts = rosterParts(this.#members);
    this.#roster += 1;
    this.#setRate();
    this.#seen(now);
    this.#publish();
    for (const part of this.#parts) this.#broadcast(part);
    this.#keepaliveAt = after(now, this.#intervalMs);
  }

  #seen(now: Instant): void {
    const { quorum, detection } = this.#context;
    const ids = this.#members.map(({ id }) => id).filter((id) => !this.#defectors.has(id));
    quorum.seen(now, ids, detection.intervalMs);
  }

  /** To the rest of the node, who is told to go is a member until it takes no frames any more. Whoever is next is one that stays. */
  #publish(): void {
    const { self, config, tables } = this.#context;
    const listed = this.#context.viewOf({
      role: "master",
      epoch: this.#epoch,
      master: self.id,
      members: this.#members,
      keepaliveIntervalMs: this.#intervalMs,
      config,
      tables,
    });
    const leaving = this.#expulsions.members;
    if (leaving.length === 0) return this.#context.publish(listed);
    this.#context.publish({ ...listed, members: [...listed.members, ...leaving].sort(byAddress) });
  }

  /** The largest n that any member needs (A17). */
  #setRate(): void {
    let needed = FEWEST_PER_INTERVAL;
    for (const { perInterval } of this.#watches.values()) needed = Math.max(needed, perInterval);
    this.#perInterval = needed;
  }

  #sendKeepalive(now: Instant): void {
    this.#setRate();
    this.#keepaliveAt = after(now, this.#intervalMs);
    this.#seen(now);
    this.#publish();
    this.#broadcast(this.#takePart());
  }

  #broadcast(part: RosterPart): void {
    this.#context.send("everyone", this.#keepalive(part, this.#context.nextSequence()));
  }

  /** One node alone gets it, so it takes no number of its own: the others would count it as lost. */
  #answer(to: IpAddress): void {
    this.#context.send(to, this.#keepalive(this.#takePart(), this.#context.sequence));
  }

  #takePart(): RosterPart {
    const part = this.#parts[this.#nextPart % this.#parts.length];
    this.#nextPart += 1;
    return part ?? { offset: 0, members: [] };
  }

  #keepalive({ offset, members }: RosterPart, sequence: number): MasterKeepalive {
    const { config, tables, detection } = this.#context;
    return {
      type: "master-keepalive",
      sequence,
      epoch: this.#epoch,
      config,
      tables,
      detectionMs: detection.intervalMs,
      perInterval: this.#perInterval,
      isMost: this.#context.quorum.isMost,
      roster: this.#roster,
      memberCount: this.#members.length,
      offset,
      members,
    };
  }

  /** In doubt it only asks: its members may have another master by now. */
  #claim(now: Instant, to: IpAddress, nonce: Nonce): void {
    const members = this.inDoubt(now) ? 0 : this.#members.length;
    this.#claimAs(members, to, nonce, this.#context.nextRequest());
  }

  #claimAs(members: number, to: IpAddress | "everyone", nonce: Nonce, request: number): void {
    const { self, config } = this.#context;
    const [master, epoch] = [self.id, this.#epoch];
    const type = "other-master-exists";
    this.#context.send(to, { type, nonce, request, master, epoch, config, members });
  }

  received(now: Instant, received: Received): void {
    const { message, sender, from, boot } = received;
    this.#absences.heard(sender);
    switch (message.type) {
      case "join-request":
        return this.#askedToJoin(now, received, message);
      case "member-keepalive":
        return this.#heardMember(now, received, message);
      case "probe":
        if (!this.inDoubt(now)) this.#answer(from);
        return;
      case "offer":
        this.#defects(sender);
        this.#context.sawEpoch(message.epoch);
        if (this.inDoubt(now)) return;
        this.#claim(now, from, { boot, request: message.request });
        return this.#answer(from);
      case "goodbye": // not that of an earlier start
        if (this.#watches.get(sender)?.boot === boot) this.#depart(now, sender, "left");
        return;
      case "master-keepalive":
        return this.#heardKeepalive(now, received, message);
      case "other-master-exists":
        return this.#heardClaim(now, received, message);
      case "join-accepted":
      case "join-refused":
      case "join-wait":
      case "exit-request":
      case "offer-accepted":
        return this.#context.ignore("unexpected");
    }
  }

  #defects(member: NodeId): void {
    if (this.#watches.has(member)) this.#defectors.heard(member);
  }

  /** Some member does not hear this node: others may have what is its own. */
  get isDeserted(): boolean {
    return this.#defectors.areThere;
  }

  /** A6. */
  #heardMember(now: Instant, received: Received, keepalive: MemberKeepalive): void {
    const { sender, from, boot } = received;
    if (keepalive.master !== this.#context.self.id) return this.#context.ignore("unexpected");
    const watch = this.#watches.get(sender);
    if (watch === undefined) {
      if (!this.#admissions.take(now, sender, boot)) return this.#sendAway(now, from);
      const former = this.#expulsions.take(sender);
      if (former !== undefined) this.#expelled(now, former);
      const member = { id: sender, address: from, mac: keepalive.mac };
      this.#watch(now, member, boot);
      this.#watches.get(sender)?.heard(received.at, keepalive);
      this.#context.emit({ type: "member-joined", member });
      return this.#rosterChanged(now);
    }
    // a recording of an earlier start: whoever runs there now must not be sent away for it
    if (boot < watch.boot) return this.#context.ignore("unexpected");
    if (watch.boot !== boot) return this.#sendAway(now, from);
    watch.heard(received.at, keepalive);
    this.#defectors.forget(sender);
    if (sameConfig(keepalive.config, this.#context.config)) return;
    this.#heardOfRollOut(now, keepalive.config);
    if (now <= this.#rollOutUntil) return;
    this.#tellToGo(now, watch.member, "configuration");
  }

  /** A member may be ahead: the main thread hands a new configuration round before it tells this machine. */
  #heardOfRollOut(now: Instant, { counter }: ConfigVersion): void {
    if (counter <= Math.max(this.#newestSeen, this.#context.config.counter)) return;
    this.#newestSeen = counter;
    this.#rollOutUntil = after(now, ROLL_OUT_MS);
  }

  #sendAway(now: Instant, to: IpAddress): void {
    if (now < this.#answerAt) return;
    this.#answerAt = after(now, ANSWER_EVERY_MS);
    this.#context.send(to, this.#exit("not-a-member"));
  }

  #exit(reason: "not-a-member" | "configuration" | "refused"): Message {
    return { type: "exit-request", nonce: UNASKED, reason, config: this.#context.config };
  }

  /** Tables of whoever had this epoch would pass for as new as ours, or newer. */
  #riseAbove(seen: number): void {
    if (seen < this.#epoch) return;
    this.#context.sawEpoch(seen);
    this.#epoch = this.#context.nextEpoch();
    this.#publish();
  }

  #askedToJoin(now: Instant, received: Received, request: JoinRequest): void {
    const { sender, from } = received;
    const isAdmitted = this.#context.admitted.get(sender)?.address === from;
    if (isAdmitted && !this.#watches.has(sender)) this.#riseAbove(request.epoch);
    if (isAdmitted && this.#contest.hasYielded(sender)) this.#announceAfter(now, sender);
    this.#admissions.requested(now, received, request, this.#watches);
  }

  /** A10: what the applications of this node say to a ballot. */
  voted(now: Instant, ballot: number, verdict: Verdict): void {
    this.#admissions.voted(now, ballot, verdict, this.#watches);
  }

  #heardKeepalive(now: Instant, received: Received, { members }: MasterKeepalive): void {
    this.#defects(received.sender);
    this.#contest.heard(received.sender, members);
    if (this.#contest.mayAsk(now)) this.#claim(now, received.from, UNASKED);
  }

  /** A5: two masters. Both sides compute the same answer from the same two lists. */
  #heardClaim(now: Instant, received: Received, claim: OtherMasterExists): void {
    const { sender, from, boot } = received;
    const nonce = { boot, request: claim.request };
    if (claim.master !== sender) {
      // a member that has heard two masters asks, and so does a late objector to an offer
      if (claim.master !== this.#context.self.id) this.#claim(now, from, nonce);
      return;
    }
    this.#contest.claimed(sender);
    if (!this.#contest.isAnswer(claim.nonce)) return this.#claim(now, from, nonce);
    const rival = rivalOf(received, claim);
    const inDoubt = this.inDoubt(now);
    const reign = { epoch: this.#epoch, members: this.#members, inDoubt };
    if (!this.#contest.isWon(reign, rival)) return this.#yield(now, rival, nonce);
    if (inDoubt) return;
    this.#contest.settled(sender);
    this.#riseAbove(rival.epoch);
    if (now < this.#announceAt) return; // two that both think that they win must not keep talking
    this.#claim(now, from, nonce);
    this.#announceAfter(now, sender);
  }

  /** The loser may have announced the VIPs last, at another MAC. */
  #announceAfter(now: Instant, loser: NodeId): void {
    if (this.inDoubt(now) || now < this.#announceAt) return;
    this.#announceAt = after(now, ANSWER_EVERY_MS);
    this.#contest.settled(loser);
    this.#context.emit({ type: "announce-wanted" });
  }

  #yield(now: Instant, rival: Rival, nonce: Nonce): void {
    this.#context.sawEpoch(rival.epoch);
    // without members: the winner learns that there were two, and announces the VIPs again; if this is lost, from the request to join
    this.#claimAs(0, rival.address, nonce, this.#context.nextRequest());
    if (this.#watches.size > 0) this.#context.send("everyone", this.#exit("not-a-member"));
    this.#context.emit({ type: "lost-mastership", to: rival.id });
    this.#context.become.joining(now, REJOIN_MS);
  }

  settingsChanged(now: Instant, what: "config" | "key" | "tables"): void {
    if (what === "config") this.#configChanged(now);
    this.#sendKeepalive(now);
  }

  #configChanged(now: Instant): void {
    this.#rollOutUntil = after(now, ROLL_OUT_MS);
    for (const [id, { silence, member }] of this.#watches) {
      silence.intervalMs = this.#context.detection.intervalMs;
      const node = this.#context.admitted.get(id);
      if (node?.address !== member.address) this.expel(now, id);
    }
    this.#checkAt = now;
  }

  /** A member that may not be one any longer. */
  expel(now: Instant, id: NodeId): void {
    this.#admissions.withdraw(id);
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#tellToGo(now, watch.member, "refused");
  }

  /** From now on it is not listed. */
  #tellToGo(now: Instant, member: Member, reason: "configuration" | "refused"): void {
    this.#context.send(member.address, this.#exit(reason));
    this.#watches.delete(member.id);
    this.#admissions.departed(member.id);
    this.#expulsions.begin(now, member, this.#context.detection.intervalMs);
    this.#rosterChanged(now);
  }

  #expelled(now: Instant, { id, address }: Member): void {
    this.#announceDeparture(now, id, address, "refused");
    this.#publish();
  }

  portUnreachable(now: Instant, address: IpAddress): void {
    this.#departures.portUnreachable(now, address);
    this.#absences.portUnreachable(address);
    for (const { member, silence } of this.#watches.values()) {
      if (member.address === address) silence.refused(now);
    }
  }

  stalled(now: Instant, lateMs: number): void {
    for (const { silence } of this.#watches.values()) silence.excuse(now);
    this.#checkAt = now;
    const { intervalMs } = this.#context.detection;
    if (lateMs > intervalMs / 2) this.#doubtUntil = after(now, intervalMs);
  }

  leave(): void {
    for (let i = 0; i < 2; i++) this.#context.send("everyone", { type: "goodbye" });
  }
}
