// Orphaned: a member whose master is gone (A12). The remaining members offer themselves in the order of their
// addresses, each a little later than the one before, so that normally only the secondary does and
// everybody agrees. To the rest of the node nothing happens until the new master lists this member.
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type { MasterKeepalive, Offer } from "#wire/cluster/message.ts";
import { outranks } from "./candidate.ts";
import { COARSE_CLOCK_MS, type Context, type Phase, type Succession } from "./context.ts";
import type { Received } from "./protocol.ts";
import { byAddress, RosterAssembly } from "./roster.ts";
import type { Member } from "./types.ts";

/** By how much each further heir waits longer for the offer of the one before. */
export const STAGGER_MS = 50;
/** Beyond the time of an offer: until the candidate's first keepalive must have come. */
export const PATIENCE_MS = 150;

interface Chosen {
  readonly sender: Member["id"];
  readonly config: Offer["config"];
  readonly address: IpAddress;
}

export class Orphaned implements Phase {
  readonly #context: Context;
  readonly #succession: Succession;
  /** Those that may still become master, in order. */
  #heirs: readonly Member[];
  #chosen: Chosen | undefined;
  /** Candidates that this node has accepted; none of them is believed to be master without that. */
  readonly #agreed = new Set<NodeId>();
  #offerAt: Instant | undefined;
  #giveUpAt: Instant | undefined;
  #roster = new RosterAssembly();
  #listedBy: Member["id"] | undefined;

  constructor(context: Context, now: Instant, succession: Succession) {
    this.#context = context;
    this.#succession = succession;
    this.#heirs = succession.members
      .filter(({ id }) => id !== succession.master.id && context.canLead(id))
      .sort(byAddress);
    this.#offerAt = this.#turn(now);
    if (this.#heirs[0]?.id !== context.self.id) context.acceptBy = this.#unaskedUntil(now);
  }

  /**
   * Before the first heir can have decided without this node, which it may not have reached: it has heard one keepalive less than
   * this node at most.
   */
  #unaskedUntil(now: Instant): Instant {
    const { detection, view } = this.#context;
    return after(now, Math.max(0, detection.offerMs - view.keepaliveIntervalMs - COARSE_CLOCK_MS));
  }

  /** Whoever can never be master waits for all that can, and then looks for a master anew. */
  #turn(now: Instant): Instant {
    const { self, detection } = this.#context;
    if (!this.#context.canLead(self.id)) {
      return after(now, this.#heirs.length * STAGGER_MS + detection.offerMs + PATIENCE_MS);
    }
    const rank = this.#heirs.findIndex(({ id }) => id === self.id);
    return after(now, Math.max(rank, 0) * STAGGER_MS);
  }

  get deadline(): Instant | undefined {
    return earliest(this.#offerAt, this.#giveUpAt);
  }

  /** The first in line does not wait. */
  begin(now: Instant, offer: Received | undefined): void {
    if (offer?.message.type === "offer") this.#offered(now, offer, offer.message);
    else this.deadlineReached(now);
  }

  deadlineReached(now: Instant): void {
    if (this.#giveUpAt !== undefined && now >= this.#giveUpAt) this.#giveUp(now);
    if (this.#offerAt !== undefined && now >= this.#offerAt) {
      this.#context.become.offering(now, this.#succession);
    }
  }

  /** The candidate is gone as well. */
  #giveUp(now: Instant): void {
    this.#heirs = this.#heirs.filter(({ id }) => id !== this.#chosen?.sender);
    this.#context.acceptBy = now;
    this.#chosen = undefined;
    this.#giveUpAt = undefined;
    this.#offerAt = this.#turn(now);
  }

  received(now: Instant, received: Received): void {
    const { message } = received;
    switch (message.type) {
      case "offer":
        if (message.silent === this.#succession.master.id) this.#offered(now, received, message);
        else this.#context.sawEpoch(message.epoch);
        return;
      case "master-keepalive":
        return this.#heardMaster(now, received, message);
      case "other-master-exists":
        this.#context.sawEpoch(message.epoch);
        // of a new master its keepalive, which lists the members, says more
        return this.#heardOldMaster(now, received.sender, message.master);
      case "exit-request":
        return this.#heardOldMaster(now, received.sender, received.sender);
      case "join-request":
      case "join-accepted":
      case "join-refused":
      case "join-wait":
      case "offer-accepted":
      case "member-keepalive":
      case "probe":
      case "goodbye":
        return;
    }
  }

  #heardOldMaster(now: Instant, sender: NodeId, master: NodeId): void {
    const old = this.#succession.master.id;
    if (sender === old && master === old) this.#context.become.joining(now, 0);
  }

  /** Heirs of this master know its epoch: an offer that does not is older than its mastership. */
  #offered(now: Instant, { sender, from, boot }: Received, offer: Offer): void {
    this.#context.sawEpoch(offer.epoch);
    const isHeir = this.#succession.members.some(({ id }) => id === sender);
    if (!isHeir || offer.epoch < this.#context.view.epoch) return;
    const candidate = { sender, config: offer.config, address: from };
    if (this.#chosen !== undefined && outranks(this.#chosen, candidate)) return;
    if (offer.config.counter < this.#context.config.counter) {
      return this.#context.become.offering(now, this.#succession); // the better offer is the objection
    }
    this.#agreed.add(sender);
    this.#context.acceptBy = undefined;
    this.#chosen = candidate;
    this.#offerAt = undefined;
    this.#giveUpAt = after(now, this.#context.detection.offerMs + PATIENCE_MS);
    const { epoch, config, self } = this.#context;
    this.#context.send(from, {
      type: "offer-accepted",
      nonce: { boot, request: offer.request },
      epoch,
      config,
      mac: self.mac,
    });
  }

  /** The old master after all, or the new one. */
  #heardMaster(now: Instant, received: Received, message: MasterKeepalive): void {
    const isNew = message.epoch > this.#context.view.epoch;
    this.#context.sawEpoch(message.epoch);
    if (received.sender === this.#succession.master.id) {
      if (this.#succession.reason !== "silent") return; // overtaken by the last words
      return this.#context.become.following(now, received, this.#succession.members);
    }
    if (!isNew) return;
    if (this.#listedBy !== received.sender) {
      this.#listedBy = received.sender;
      this.#roster = new RosterAssembly();
    }
    const members = this.#roster.add(message);
    if (members === undefined) return;
    const listed = members.some(({ id }) => id === this.#context.self.id);
    if (listed && this.#agreed.has(received.sender)) {
      return this.#context.become.following(now, received, members);
    }
    this.#context.become.joining(now, 0);
  }

  settingsChanged(_now: Instant, _what: "config" | "key" | "tables"): void {}
  portUnreachable(_now: Instant, _address: IpAddress): void {}
  stalled(_now: Instant, _lateMs: number): void {}
  leave(): void {}
}
