// Admitted: the master has accepted this node. It is a member once the master lists it, which takes a
// keepalive under the group key, which the main thread fetches meanwhile.
import type { IpAddress } from "#base/address.ts";
import { earliest, after, type Instant } from "#base/time.ts";
import type { ExitRequest, JoinAccepted, MasterKeepalive } from "#wire/cluster/message.ts";
import type { Context, Phase } from "./context.ts";
import { keepalivesPerInterval, INITIAL_LOSS } from "./loss-estimate.ts";
import type { Received } from "./protocol.ts";
import { RosterAssembly } from "./roster.ts";
import type { Member } from "./types.ts";

/** The master may be replaced while the key is on its way, so the question is repeated. */
export const CONFIRM_EVERY_MS = 1000;
export const CONFIRM_TIMES = 3;
/** Before a node that leaves one master asks for another, so that its last words there arrive first. */
export const REJOIN_MS = 5;

export class Admitted implements Phase {
  readonly #context: Context;
  readonly #perInterval = keepalivesPerInterval(INITIAL_LOSS);
  #roster = new RosterAssembly();
  #master: Member;
  /** Which start of the master has accepted this node. */
  #boot: bigint;
  #firstRequest = Number.POSITIVE_INFINITY;
  #confirmAt: Instant;
  #confirmed = 0;
  #keepaliveAt: Instant | undefined;

  constructor(context: Context, now: Instant, master: Received) {
    this.#context = context;
    this.#master = { id: master.sender, address: master.from, mac: context.self.mac };
    this.#boot = master.boot;
    this.#confirmAt = after(now, CONFIRM_EVERY_MS);
    if (context.hasKey) this.#sendKeepalive(now);
  }

  get deadline(): Instant | undefined {
    return earliest(this.#confirmAt, this.#keepaliveAt);
  }

  deadlineReached(now: Instant): void {
    if (this.#keepaliveAt !== undefined && now >= this.#keepaliveAt) this.#sendKeepalive(now);
    if (now < this.#confirmAt) return;
    if (this.#confirmed >= CONFIRM_TIMES) return this.#context.become.joining(now, 0);
    this.#confirmed += 1;
    this.#confirmAt = after(now, CONFIRM_EVERY_MS);
    this.#firstRequest = Math.min(this.#firstRequest, this.#context.askToJoin());
  }

  #sendKeepalive(now: Instant): void {
    this.#keepaliveAt = after(now, this.#context.detection.intervalMs / this.#perInterval);
    this.#context.sendKeepaliveTo(this.#master, this.#perInterval);
  }

  received(now: Instant, received: Received): void {
    const { message, sender } = received;
    switch (message.type) {
      case "join-accepted":
        return this.#acceptedAgain(now, received, message);
      case "join-refused":
        if (!this.#context.isOurs(message.nonce, this.#firstRequest)) return;
        return this.#context.become.joining(now, 0);
      case "exit-request":
        if (sender === this.#master.id) this.#toldToLeave(now, received, message);
        return;
      case "goodbye":
        if (sender !== this.#master.id || received.boot !== this.#boot) return;
        return this.#context.become.joining(now, REJOIN_MS);
      case "master-keepalive":
        return this.#heardMaster(now, received, message);
      case "join-request":
      case "join-wait":
      case "offer":
      case "offer-accepted":
      case "other-master-exists":
      case "member-keepalive":
      case "probe":
        return;
    }
  }

  #acceptedAgain(now: Instant, received: Received, message: JoinAccepted): void {
    if (!this.#context.isOurs(message.nonce, this.#firstRequest)) {
      return this.#context.ignore("unexpected");
    }
    this.#confirmed = 0;
    const { sender, from } = received;
    this.#boot = received.boot;
    if (sender === this.#master.id) return;
    this.#master = { id: sender, address: from, mac: this.#context.self.mac };
    this.#roster = new RosterAssembly();
    this.#context.emit({ type: "admitted-by", master: sender, address: from });
    if (this.#context.hasKey) this.#sendKeepalive(now);
  }

  #toldToLeave(now: Instant, { sender, from }: Received, { reason, config }: ExitRequest): void {
    if (reason === "configuration") {
      this.#context.emit({ type: "config-wanted", version: config, from: sender, address: from });
    }
    this.#context.become.joining(now, REJOIN_MS);
  }

  #heardMaster(now: Instant, received: Received, message: MasterKeepalive): void {
    this.#context.sawEpoch(message.epoch);
    if (received.sender !== this.#master.id) return;
    // a recording of an earlier start: its lists have numbers of their own
    if (received.boot !== this.#boot) return this.#context.ignore("unexpected");
    const members = this.#roster.add(message);
    if (members?.some(({ id }) => id === this.#context.self.id) !== true) return;
    this.#context.become.following(now, received, members);
  }

  settingsChanged(now: Instant, what: "config" | "key" | "tables"): void {
    if (what === "key") this.#sendKeepalive(now);
  }

  portUnreachable(_now: Instant, _address: IpAddress): void {}
  stalled(_now: Instant, _lateMs: number): void {}
  leave(): void {
    this.#context.send(this.#master.address, { type: "goodbye" });
  }
}
