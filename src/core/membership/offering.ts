// Offering: wants to be master. At a cold start nobody may object for 100 ms (A3). When a known master fell
// silent it is enough that every other member of the last view agrees, which takes one round trip (A12).
import type { IpAddress } from "#base/address.ts";
import { NO_NODE, type NodeId } from "#base/ids.ts";
import { after, earliest, type Instant } from "#base/time.ts";
import type {
  MasterKeepalive,
  Offer,
  OfferAccepted,
  OtherMasterExists,
} from "#wire/cluster/message.ts";
import { outranks } from "./candidate.ts";
import type { Context, Phase, Succession, Survivor } from "./context.ts";
import type { Received } from "./protocol.ts";
import { ASK_EVERY_MS } from "./joining.ts";

export const OFFER_EVERY_MS = 25;

export class Offering implements Phase {
  readonly #context: Context;
  readonly #succession: Succession | undefined;
  readonly #offer: Offer;
  readonly #decideAt: Instant;
  readonly #accepted = new Map<NodeId, Survivor>();
  /** Members of the last view whose consent is needed. */
  readonly #missing: Set<NodeId>;
  #offerAt: Instant;
  #objectedAt: Instant | undefined;

  constructor(context: Context, now: Instant, succession: Succession | undefined) {
    this.#context = context;
    this.#succession = succession;
    this.#offer = {
      type: "offer",
      request: context.nextRequest(),
      epoch: context.epoch,
      config: context.config,
      silent: succession?.master.id ?? NO_NODE,
    };
    this.#decideAt = after(now, context.detection.offerMs);
    this.#offerAt = now;
    this.#missing = new Set(succession?.members.map(({ id }) => id));
    this.#missing.delete(context.self.id);
    this.#missing.delete(this.#offer.silent);
    if (succession === undefined) context.publishAlone("offering");
  }

  get deadline(): Instant | undefined {
    return earliest(this.#decideAt, this.#offerAt);
  }

  /** Nobody is left whose consent could be waited for. */
  begin(now: Instant): void {
    if (this.#succession !== undefined && this.#missing.size === 0) return this.#win(now);
    this.deadlineReached(now);
  }

  deadlineReached(now: Instant): void {
    if (now >= this.#decideAt) return this.#decide(now);
    if (now < this.#offerAt) return;
    this.#offerAt = after(now, OFFER_EVERY_MS);
    this.#sendOffer("everyone");
  }

  /** With the highest epoch of this moment: an offer that knows of less than its hearers counts for nothing. */
  #sendOffer(to: IpAddress | "everyone"): void {
    this.#context.send(to, { ...this.#offer, epoch: this.#context.epoch });
  }

  #decide(now: Instant): void {
    const objection = this.#objectedAt;
    if (objection !== undefined && now - objection < 2 * OFFER_EVERY_MS) {
      return this.#context.become.joining(now, 0);
    }
    this.#win(now);
  }

  #win(now: Instant): void {
    this.#context.become.governing(now, [...this.#accepted.values()], this.#succession);
  }

  received(now: Instant, received: Received): void {
    const { message } = received;
    switch (message.type) {
      case "offer":
        return this.#rival(now, received, message);
      case "offer-accepted":
        return this.#agreed(now, received, message);
      case "other-master-exists":
        return this.#objected(now, message);
      case "master-keepalive":
        return this.#masterLives(now, received, message);
      case "join-request":
        return this.#sendOffer(received.from);
      case "join-accepted":
      case "join-refused":
      case "join-wait":
      case "exit-request":
      case "member-keepalive":
      case "probe":
      case "goodbye":
        return;
    }
  }

  /** The heir of a cluster comes before a node that has just started; among equals see `outranks`. */
  #rival(now: Instant, received: Received, offer: Offer): void {
    const isUpToDate = offer.epoch >= this.#context.epoch;
    this.#context.sawEpoch(offer.epoch);
    const { self, config, detection } = this.#context;
    const heir = offer.silent !== NO_NODE;
    const isHeir = this.#succession !== undefined;
    const better =
      heir === isHeir
        ? outranks(
            { config: offer.config, address: received.from },
            { config, address: self.address },
          )
        : heir;
    if (!better || !isUpToDate) return this.#sendOffer(received.from);
    if (this.#succession !== undefined && offer.silent === this.#offer.silent) {
      return this.#context.become.orphaned(now, this.#succession, received);
    }
    if (this.#succession === undefined && !this.#context.mayDefer()) return;
    this.#context.become.joining(now, detection.offerMs + ASK_EVERY_MS);
  }

  #agreed(now: Instant, received: Received, message: OfferAccepted): void {
    if (!this.#context.isOurs(message.nonce, this.#offer.request)) {
      return this.#context.ignore("unexpected");
    }
    this.#context.sawEpoch(message.epoch);
    const { sender, from, boot } = received;
    const member = { id: sender, address: from, mac: message.mac };
    this.#accepted.set(sender, { member, boot });
    this.#missing.delete(sender);
    if (this.#succession !== undefined && this.#missing.size === 0) this.#win(now);
  }

  /**
   * Who has heard the silent master a moment ago may miss it at the next offer, so such an objection only
   * counts if it is upheld to the end. A master that objects for itself is obeyed at once (A3).
   */
  #objected(now: Instant, { nonce, epoch, master }: OtherMasterExists): void {
    this.#context.sawEpoch(epoch);
    if (!this.#context.isOurs(nonce, this.#offer.request)) return; // perhaps a recording
    if (this.#succession !== undefined && master === this.#offer.silent) this.#objectedAt = now;
    else {
      this.#context.objectedAt = now;
      this.#context.become.joining(now, 0);
    }
  }

  /** Back to the master that seemed silent, as if nothing had been; or to whoever was faster. */
  #masterLives(now: Instant, received: Received, { epoch }: MasterKeepalive): void {
    const isUpToDate = epoch >= this.#context.epoch;
    this.#context.sawEpoch(epoch);
    const succession = this.#succession;
    if (succession !== undefined && received.sender === this.#offer.silent) {
      return this.#context.become.following(now, received, succession.members);
    }
    if (isUpToDate) this.#context.become.joining(now, 0);
  }

  settingsChanged(_now: Instant, _what: "config" | "key" | "tables"): void {}
  portUnreachable(_now: Instant, _address: IpAddress): void {}
  stalled(_now: Instant, _lateMs: number): void {}
  leave(): void {}
}
