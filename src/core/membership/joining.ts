// Joining: asks whether there is a master, and becomes a candidate when nobody answers (A2, A3, A4).
import type { IpAddress } from "#base/address.ts";
import { NO_NODE } from "#base/ids.ts";
import { after, type Instant } from "#base/time.ts";
import type {
  ExitRequest,
  JoinAccepted,
  JoinRefused,
  JoinWait,
  Offer,
} from "#wire/cluster/message.ts";
import { outranks } from "./candidate.ts";
import type { Context, Phase } from "./context.ts";
import type { Received } from "./protocol.ts";

/** Between join requests as long as nobody answers. */
export const ASK_EVERY_MS = 50;
/** Unanswered requests before the node offers itself. */
export const ASK_TIMES = 3;
/** A refused node asks again: the operator may have admitted it meanwhile. */
export const REFUSED_RETRY_MS = 1000;
/** A node that can never be master asks on, as long as nobody else is. */
export const REMOTE_RETRY_MS = 100;
/** While the main thread fetches the configuration; `config-changed` ends the wait. */
export const CONFIG_RETRY_MS = 500;
const SHORTEST_WAIT_MS = 20;
const LONGEST_WAIT_MS = 5000;

export class Joining implements Phase {
  readonly #context: Context;
  #askAt: Instant;
  #asked = 0;
  #firstRequest = Number.POSITIVE_INFINITY;

  constructor(context: Context, now: Instant, waitMs: number) {
    this.#context = context;
    this.#askAt = after(now, waitMs);
    context.publishAlone("joining");
  }

  get deadline(): Instant {
    return this.#askAt;
  }

  deadlineReached(now: Instant): void {
    if (now < this.#askAt) return;
    if (this.#asked >= ASK_TIMES) {
      this.#context.become.offering(now, undefined);
      return;
    }
    this.#ask(now);
  }

  #ask(now: Instant): void {
    this.#asked += 1;
    this.#askAt = after(now, ASK_EVERY_MS);
    this.#firstRequest = Math.min(this.#firstRequest, this.#context.askToJoin());
  }

  /** Somebody is in charge, so this node does not offer itself. */
  #wait(now: Instant, waitMs: number): void {
    this.#asked = 0;
    this.#askAt = after(now, waitMs);
  }

  #defer(now: Instant, waitMs: number): void {
    if (this.#context.mayDefer()) this.#wait(now, waitMs);
  }

  received(now: Instant, received: Received): void {
    const { message } = received;
    switch (message.type) {
      case "join-accepted":
        return this.#accepted(now, received, message);
      case "join-refused":
        return this.#refused(now, received, message);
      case "join-wait":
        return this.#toldToWait(now, message);
      case "exit-request":
        return this.#toldToLeave(now, received, message);
      case "offer":
        return this.#offered(now, received, message);
      case "other-master-exists":
      case "master-keepalive":
        this.#context.sawEpoch(message.epoch);
        if (this.#asked >= ASK_TIMES) this.#defer(now, ASK_EVERY_MS);
        return;
      case "join-request":
      case "offer-accepted":
      case "member-keepalive":
      case "probe":
      case "goodbye":
        return; // meant for a master, or for nobody in particular
    }
  }

  #accepted(now: Instant, received: Received, message: JoinAccepted): void {
    if (!this.#context.isOurs(message.nonce, this.#firstRequest)) {
      return this.#context.ignore("unexpected");
    }
    const { sender, from } = received;
    this.#context.sawEpoch(message.epoch);
    this.#context.emit({ type: "admitted-by", master: sender, address: from });
    this.#context.become.admitted(now, received);
  }

  #refused(now: Instant, { sender }: Received, message: JoinRefused): void {
    const { nonce, reason, text } = message;
    if (!this.#context.isOurs(nonce, this.#firstRequest)) {
      return this.#context.ignore("unexpected");
    }
    if (reason === "duplicate") {
      const { address } = this.#context.self;
      this.#context.emit({ type: "address-conflict", address, stayingOut: true });
    } else {
      const words = text === undefined ? {} : { text };
      this.#context.emit({ type: "refused", by: sender, reason, ...words });
    }
    this.#wait(now, REFUSED_RETRY_MS);
  }

  #toldToWait(now: Instant, { nonce, retryMs }: JoinWait): void {
    if (!this.#context.isOurs(nonce, this.#firstRequest)) {
      return this.#context.ignore("unexpected");
    }
    this.#wait(now, Math.min(Math.max(retryMs, SHORTEST_WAIT_MS), LONGEST_WAIT_MS));
  }

  /** A4: the cluster runs another configuration. */
  #toldToLeave(now: Instant, { sender, from }: Received, message: ExitRequest): void {
    const { nonce, reason, config } = message;
    if (reason !== "configuration") return;
    if (!this.#context.isOurs(nonce, this.#firstRequest)) {
      return this.#context.ignore("unexpected");
    }
    this.#context.emit({ type: "config-wanted", version: config, from: sender, address: from });
    this.#wait(now, CONFIG_RETRY_MS);
  }

  /**
   * Stands by for a better candidate, or for the heir of a cluster; competes with a worse one at once, and with one
   * that knows of less than this node: it hears of more by the competing offer, unless it is a recording. Not when a master has
   * just said that it is there: two that ask it and hear each other's offers would offer, be told and ask as fast as frames travel.
   */
  #offered(now: Instant, received: Received, offer: Offer): void {
    const { detection, self, config } = this.#context;
    const isUpToDate = offer.epoch >= this.#context.epoch;
    this.#context.sawEpoch(offer.epoch);
    const rival = { config: offer.config, address: received.from };
    const isBetter = offer.silent !== NO_NODE || outranks(rival, { config, address: self.address });
    if (isUpToDate && isBetter) {
      return this.#defer(now, detection.offerMs + ASK_EVERY_MS);
    }
    const { objectedAt } = this.#context;
    if (objectedAt !== undefined && now < after(objectedAt, ASK_EVERY_MS)) return;
    this.#context.become.offering(now, undefined);
  }

  settingsChanged(now: Instant, what: "config" | "key" | "tables"): void {
    if (what === "config") this.#wait(now, 0);
  }

  portUnreachable(_now: Instant, _address: IpAddress): void {}
  stalled(_now: Instant, _lateMs: number): void {}
  leave(): void {}
}
