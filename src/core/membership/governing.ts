// Governing: this node is master (A2, A5-A7, A9). Admits nodes, watches members, publishes who belongs.
import type { IpAddress } from "#base/address.ts";
import { type NodeId, sameConfig } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { MasterKeepalive, MemberKeepalive, Message } from "#wire/cluster/message.ts";
import { Admissions } from "./admissions.ts";
import { REJOIN_MS } from "./admitted.ts";
import { prevails } from "./candidate.ts";
import { type Context, type Phase, type Succession, viewOf } from "./context.ts";
import { Departures } from "./departures.ts";
import { FEWEST_PER_INTERVAL } from "./loss-estimate.ts";
import { MemberWatch } from "./member-watch.ts";
import type { Received } from "./protocol.ts";
import { byAddress, rosterParts, type RosterPart } from "./roster.ts";
import type { Departure, Member } from "./types.ts";

/** Between signed announcements, which also reach nodes without our group key (A5). */
export const BEACON_EVERY_MS = 1000;
/** The first keepalive of a new master, which lists its members, comes before its first announcement. */
const FIRST_BEACON_MS = 100;
/** During a roll-out members run another configuration for so long without being sent away (A4). */
export const ROLL_OUT_MS = 2000;
/** At most one answer to another master or stray member in this time. */
const ANSWER_EVERY_MS = 50;

/** Another master, by what one of its messages says. */
interface Rival {
  readonly id: NodeId;
  readonly address: IpAddress;
  readonly epoch: number;
  readonly members: number;
  readonly list: readonly Member[];
}

export class Governing implements Phase {
  readonly #context: Context;
  readonly #watches = new Map<NodeId, MemberWatch>();
  readonly #departures: Departures;
  readonly #admissions: Admissions;
  #epoch: number;
  /** Sorted by address, with this node. */
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
  #contestAt: Instant;
  #rollOutUntil: Instant;
  /** This node did not run for so long that it may have been replaced meanwhile. */
  #doubtUntil: Instant | undefined;

  constructor(context: Context, now: Instant, survivors: readonly Member[]) {
    this.#context = context;
    this.#departures = new Departures(context);
    this.#admissions = new Admissions(context);
    context.epoch += 1;
    this.#epoch = context.epoch;
    this.#keepaliveAt = now;
    this.#beaconAt = after(now, FIRST_BEACON_MS);
    this.#checkAt = now;
    this.#answerAt = now;
    this.#contestAt = now;
    this.#rollOutUntil = after(now, ROLL_OUT_MS);
    for (const member of survivors) this.#watch(now, member, undefined);
  }

  begin(now: Instant, succession: Succession | undefined): void {
    this.#context.emit({ type: "became-master", epoch: this.#epoch });
    this.#rosterChanged(now);
    for (const { id, address } of succession?.members ?? []) {
      if (id === this.#context.self.id || this.#watches.has(id)) continue;
      const reason = id === succession?.master.id ? succession.reason : "silent";
      this.#announceDeparture(now, id, address, reason);
    }
    this.deadlineReached(now);
  }

  get deadline(): Instant | undefined {
    return earliest(this.#keepaliveAt, this.#beaconAt, this.#checkAt, this.#departures.deadline);
  }

  get #intervalMs(): number {
    return this.#context.detection.intervalMs / this.#perInterval;
  }

  deadlineReached(now: Instant): void {
    if (now >= this.#checkAt) this.#checkMembers(now);
    this.#departures.deadlineReached(now);
    if (now >= this.#keepaliveAt) this.#sendKeepalive(now);
    if (now >= this.#beaconAt) {
      this.#beaconAt = after(now, BEACON_EVERY_MS);
      if (!this.#inDoubt(now)) this.#context.send("everyone", this.#claim(this.#members.length));
    }
  }

  /** What waited to be read may be old, and its senders may have another master by now: no claims then. */
  #inDoubt(now: Instant): boolean {
    return this.#doubtUntil !== undefined && now < this.#doubtUntil;
  }

  #checkMembers(now: Instant): void {
    let next = after(now, this.#context.detection.intervalMs);
    for (const [id, { silence, member }] of this.#watches) {
      const verdict = silence.check(now);
      if (verdict === "expired") this.#depart(now, id, "silent");
      else {
        if (verdict === "probe") this.#context.send(member.address, { type: "probe" });
        next = earliest(next, silence.deadline) ?? next;
      }
    }
    this.#checkAt = next;
  }

  #watch(now: Instant, member: Member, boot: bigint | undefined): void {
    const watch = new MemberWatch(member, boot, this.#context.detection.intervalMs, now);
    this.#watches.set(member.id, watch);
    this.#departures.forget(member.id);
    this.#checkAt = earliest(this.#checkAt, watch.silence.deadline) ?? now;
  }

  #depart(now: Instant, id: NodeId, reason: Departure): void {
    const watch = this.#watches.get(id);
    if (watch === undefined) return;
    this.#watches.delete(id);
    // before the view: slots of a dead node move at once, those of other changes wait for acknowledgements
    this.#announceDeparture(now, id, watch.member.address, reason);
    this.#rosterChanged(now);
  }

  #announceDeparture(now: Instant, id: NodeId, address: IpAddress, reason: Departure): void {
    this.#context.emit({ type: "member-departed", id, reason });
    if (reason === "silent") this.#departures.watch(now, id, address);
    else this.#context.emit({ type: "departure-confirmed", id, reason });
  }

  /** The whole list goes out at once. */
  #rosterChanged(now: Instant): void {
    const others = Array.from(this.#watches.values(), ({ member }) => member);
    this.#members = [this.#context.self, ...others].sort(byAddress);
    this.#parts = rosterParts(this.#members);
    this.#roster += 1;
    this.#setRate();
    this.#publish();
    for (const part of this.#parts) this.#broadcast(part);
    this.#keepaliveAt = after(now, this.#intervalMs);
  }

  #publish(): void {
    const { self, config, tables } = this.#context;
    this.#context.publish(
      viewOf({
        role: "master",
        epoch: this.#epoch,
        master: self.id,
        members: this.#members,
        keepaliveIntervalMs: this.#intervalMs,
        config,
        tables,
      }),
    );
  }

  /** The largest n that any member needs (A17). */
  #setRate(): void {
    const needed = Array.from(this.#watches.values(), ({ perInterval }) => perInterval);
    this.#perInterval = Math.max(FEWEST_PER_INTERVAL, ...needed);
  }

  #sendKeepalive(now: Instant): void {
    this.#setRate();
    this.#keepaliveAt = after(now, this.#intervalMs);
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
      roster: this.#roster,
      memberCount: this.#members.length,
      offset,
      members,
    };
  }

  #claim(members: number): Message {
    const { self, config } = this.#context;
    return { type: "other-master-exists", master: self.id, epoch: this.#epoch, config, members };
  }

  received(now: Instant, received: Received): void {
    const { message, sender, from } = received;
    switch (message.type) {
      case "join-request":
        this.#raiseEpoch(message.epoch);
        this.#admissions.requested(now, received, message, this.#watches);
        return;
      case "member-keepalive":
        return this.#heardMember(now, received, message);
      case "probe":
        if (!this.#inDoubt(now)) this.#answer(from);
        return;
      case "offer":
        this.#context.sawEpoch(message.epoch);
        if (this.#inDoubt(now)) return;
        this.#context.send(from, this.#claim(this.#members.length));
        return this.#answer(from);
      case "goodbye":
        return this.#depart(now, sender, "left");
      case "master-keepalive":
      case "other-master-exists":
        return this.#heardMaster(now, received, message);
      case "join-accepted":
      case "join-refused":
      case "join-wait":
      case "exit-request":
      case "offer-accepted":
        return this.#context.ignore("unexpected");
    }
  }

  /** A6. */
  #heardMember(now: Instant, received: Received, keepalive: MemberKeepalive): void {
    const { sender, from, boot } = received;
    if (keepalive.master !== this.#context.self.id) return this.#context.ignore("unexpected");
    const watch = this.#watches.get(sender);
    if (watch === undefined) {
      if (!this.#admissions.take(now, sender, boot)) return this.#sendAway(now, from);
      const member = { id: sender, address: from, mac: keepalive.mac };
      this.#watch(now, member, boot);
      this.#watches.get(sender)?.heard(received.at, keepalive);
      this.#context.emit({ type: "member-joined", member });
      return this.#rosterChanged(now);
    }
    watch.boot ??= boot;
    if (watch.boot !== boot) return this.#sendAway(now, from);
    watch.heard(received.at, keepalive);
    if (now > this.#rollOutUntil && !sameConfig(keepalive.config, this.#context.config)) {
      this.#context.send(from, this.#exit("configuration"));
      this.#depart(now, sender, "refused");
    }
  }

  #sendAway(now: Instant, to: IpAddress): void {
    if (now < this.#answerAt) return;
    this.#answerAt = after(now, ANSWER_EVERY_MS);
    this.#context.send(to, this.#exit("not-a-member"));
  }

  #exit(reason: "not-a-member" | "configuration" | "refused"): Message {
    return { type: "exit-request", reason, config: this.#context.config };
  }

  #raiseEpoch(seen: number): void {
    if (seen <= this.#epoch) return;
    this.#context.sawEpoch(seen + 1);
    this.#epoch = this.#context.epoch;
    this.#publish();
  }

  /** A5: two masters. Both sides compute the same answer from the same two lists. */
  #heardMaster(
    now: Instant,
    { sender, from }: Received,
    message: Extract<Message, { type: "master-keepalive" | "other-master-exists" }>,
  ): void {
    const isKeepalive = message.type === "master-keepalive";
    if (!isKeepalive && message.master !== sender) return; // hearsay
    const rival = {
      id: sender,
      address: from,
      epoch: message.epoch,
      members: isKeepalive ? message.memberCount : message.members,
      list: isKeepalive ? message.members : [],
    };
    if (!this.#prevailsOver(now, rival)) return this.#yield(now, rival);
    if (now < this.#contestAt) return;
    this.#contestAt = after(now, ANSWER_EVERY_MS);
    this.#raiseEpoch(rival.epoch);
    this.#context.send(from, this.#claim(this.#members.length));
    this.#context.emit({ type: "announce-wanted" });
  }

  /**
   * A member follows one master only: who is in both lists counts for the one elected later. Otherwise a master
   * that was frozen or cut off would win by the members that have just replaced it.
   */
  #prevailsOver(now: Instant, rival: Rival): boolean {
    if (this.#inDoubt(now) && rival.epoch > this.#epoch) return false;
    const ours = new Set(this.#members.map(({ id }) => id));
    const shared = rival.list.filter(({ id }) => ours.has(id)).length;
    const own = this.#members.length - (rival.epoch > this.#epoch ? shared : 0);
    const theirs = rival.members - (rival.epoch < this.#epoch ? shared : 0);
    return prevails(
      { members: own, address: this.#context.self.address },
      { members: theirs, address: rival.address },
    );
  }

  #yield(now: Instant, rival: Rival): void {
    this.#context.sawEpoch(rival.epoch);
    // without members: the winner learns that there were two, and announces the VIPs again
    this.#context.send(rival.address, this.#claim(0));
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
    this.#context.send(watch.member.address, this.#exit("refused"));
    this.#depart(now, id, "refused");
  }

  portUnreachable(now: Instant, address: IpAddress): void {
    this.#departures.portUnreachable(address);
    for (const [id, { member, silence }] of this.#watches) {
      if (member.address !== address || !silence.isProbing(now)) continue;
      return this.#depart(now, id, "agent-down");
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
