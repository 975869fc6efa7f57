// The heart of a simulated node: daemon/heart-loop.ts on virtual time. It reads what its kernel has received, obeys orders, meets
// deadlines, renews the lease. While it is held up (slow or frozen) all of that waits, as it would.
import { earliest, type Instant } from "#base/time.ts";
import type { Effect, Input } from "#core/membership/protocol.ts";
import { Membership } from "#core/membership/machine.ts";
import type { AdmittedNode, Detection } from "#core/membership/protocol.ts";
import type { ConfigVersion, NodeId, TableVersion } from "#base/ids.ts";
import type { Member } from "#core/membership/types.ts";
import type { NodeClock } from "./clock.ts";
import { KeyRing, type GroupKey } from "./key-ring.ts";
import type { PacketProgram } from "./packet-program.ts";
import type { Packet } from "./packet.ts";
import { open, seal } from "./proof.ts";
import type { Identity } from "./signing.ts";
import type { World } from "./world.ts";

export type HeartOrder =
  | { readonly type: "group-key"; readonly key: GroupKey; readonly activate: boolean }
  | { readonly type: "retire-keys" }
  | {
      readonly type: "config-changed";
      readonly config: ConfigVersion;
      readonly admitted: readonly AdmittedNode[];
      readonly detection: Detection;
      readonly revoked: readonly number[];
    }
  | { readonly type: "tables-published"; readonly version: TableVersion }
  | { readonly type: "expel"; readonly id: NodeId }
  | { readonly type: "leave" };

/** As in daemon/heart-protocol.ts. */
export type MembershipEvent =
  | Exclude<Effect, { type: "send" | "ignored" | "became-master" }>
  | (Extract<Effect, { type: "became-master" }> & { readonly keyId: number | undefined });

export interface HeartSettings {
  readonly self: Member;
  readonly identity: Identity;
  readonly epoch: number;
  readonly config: ConfigVersion;
  readonly admitted: readonly AdmittedNode[];
  readonly detection: Detection;
  readonly revoked: readonly number[];
}

interface Arrival {
  readonly packet: Packet;
  readonly at: Instant;
}

/** Datagrams that the kernel keeps for an agent that does not read. */
export const SOCKET_DATAGRAMS = 512;
/** The lease for answering, in detection intervals (docs/adr/0003). */
const LEASE_INTERVALS = 2;
/** Deadlines that are due at once. */
const MOST_STEPS = 32;

export class Heart {
  readonly machine: Membership;
  readonly keys = new KeyRing();
  readonly identity: Identity;
  readonly id: number;
  readonly #world: World;
  readonly #clock: NodeClock;
  readonly #program: PacketProgram;
  readonly #emit: (event: MembershipEvent) => void;
  #detectionMs: number;
  #revoked: ReadonlySet<number>;
  #inbox: Arrival[] = [];
  #unreachable: Input[] = [];
  #orders: HeartOrder[] = [];
  #counter = 0;
  /** True time at which it is woken next. */
  #wakeMs = Number.POSITIVE_INFINITY;
  #heldUntilMs = Number.NEGATIVE_INFINITY;
  #stopped = false;

  constructor(
    world: World,
    parts: { readonly clock: NodeClock; readonly program: PacketProgram },
    settings: HeartSettings,
    emit: (event: MembershipEvent) => void,
  ) {
    const { self, identity, epoch, config, admitted, detection } = settings;
    this.#world = world;
    this.#clock = parts.clock;
    this.#program = parts.program;
    this.#emit = emit;
    this.id = self.id;
    this.identity = identity;
    this.#detectionMs = detection.intervalMs;
    this.#revoked = new Set(settings.revoked);
    this.machine = new Membership(
      { self, boot: identity.boot, epoch, config, admitted, detection },
      this.#now,
    );
    this.#program.acceptUntil = this.#acceptUntil;
    this.#arm();
  }

  /** A heart renews the right at every turn and before it would run out, so while it runs it has just done so. */
  readonly #acceptUntil = (): number => {
    // in the moment of a deadline, before it is met, what was given last still holds
    const at = earliest(this.#now, this.machine.deadline) ?? this.#now;
    const acceptMs = this.machine.acceptMs(at);
    return acceptMs > 0 ? at + acceptMs : 0;
  };

  /** Nothing renews the right any more: at most what a renewal in this moment has given. */
  #stopRenewing(): void {
    const until = this.#acceptUntil();
    this.#program.acceptUntil = () => until;
  }

  get #now(): Instant {
    return this.#clock.at(this.#world.nowMs);
  }

  /** By its node's clock. */
  get localNow(): Instant {
    return this.#now;
  }

  get detectionMs(): number {
    return this.#detectionMs;
  }

  get waiting(): number {
    return this.#inbox.length;
  }

  get isHeld(): boolean {
    return this.#world.nowMs < this.#heldUntilMs;
  }

  /** True time at which it was held up last. */
  get lastHeldMs(): number {
    return Math.min(this.#heldUntilMs, this.#world.nowMs);
  }

  /** The thread does not run until then. */
  holdUntil(trueMs: number): void {
    if (!this.isHeld) this.#stopRenewing();
    this.#heldUntilMs = trueMs;
    if (trueMs !== Number.POSITIVE_INFINITY) this.#wakeAt(trueMs);
  }

  stop(): void {
    if (!this.isHeld && !this.#stopped) this.#stopRenewing();
    this.#stopped = true;
  }

  /** The kernel has received a datagram. */
  arrive(packet: Packet): void {
    if (this.#stopped) return;
    const at = this.#now;
    if (!this.isHeld) {
      this.#received({ packet, at });
      return this.#finish();
    }
    if (this.#inbox.length < SOCKET_DATAGRAMS) this.#inbox.push({ packet, at });
  }

  portUnreachable(input: Extract<Input, { type: "port-unreachable" }>): void {
    if (this.#stopped) return;
    this.#unreachable = [input];
    if (!this.isHeld) this.#turn();
  }

  order(order: HeartOrder): void {
    if (this.#stopped) return;
    this.#orders.push(order);
    if (!this.isHeld) this.#turn();
  }

  #turn(): void {
    this.#program.acceptUntil = this.#acceptUntil;
    const inbox = this.#inbox;
    this.#inbox = [];
    for (const arrival of inbox) this.#received(arrival);
    const unreachable = this.#unreachable;
    this.#unreachable = [];
    for (const input of unreachable) this.#step(input);
    const orders = this.#orders;
    this.#orders = [];
    for (const order of orders) this.#obey(order);
    this.#finish();
  }

  #finish(): void {
    const now = this.#now;
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const { deadline } = this.machine;
      if (deadline === undefined || deadline > now) break;
      this.#step({ type: "deadline-reached" });
    }
    this.#renewLease(now);
    this.#arm();
  }

  #arm(): void {
    const { deadline } = this.machine;
    if (deadline !== undefined) this.#wakeAt(this.#clock.whenPast(deadline));
  }

  /** A wake-up that comes too early finds nothing to do and sets the next one: cheaper than taking it back. */
  #wakeAt(trueMs: number): void {
    const atMs = Math.max(trueMs, this.#world.nowMs);
    if (atMs >= this.#wakeMs) return;
    this.#wakeMs = atMs;
    this.#world.queue.add(atMs, () => this.#wake(atMs));
  }

  #wake(atMs: number): void {
    if (this.#stopped || atMs !== this.#wakeMs) return;
    this.#wakeMs = Number.POSITIVE_INFINITY;
    if (this.isHeld) {
      if (this.#heldUntilMs !== Number.POSITIVE_INFINITY) this.#wakeAt(this.#heldUntilMs);
      return;
    }
    // it renews its rights four times before they run out, whether or not anything else is due
    this.#program.acceptUntil = this.#acceptUntil;
    const { deadline } = this.machine;
    const isIdle = this.#inbox.length + this.#orders.length + this.#unreachable.length === 0;
    if (isIdle && (deadline === undefined || deadline > this.#now)) return this.#arm();
    this.#turn();
  }

  #received({ packet, at }: Arrival): void {
    const opened = open(packet, this.identity, this.keys, this.#revoked);
    if (!opened.ok) {
      this.#world.probes.refused(this, packet, opened.reason);
      if (opened.stranger === undefined) return;
      return void this.#step({ type: "stranger-refused", from: packet.from, ...opened.stranger });
    }
    const { header, message, proof } = opened.datagram;
    const { sender, boot, counter } = header;
    const received = { sender, boot, counter, from: packet.from, at, message };
    const isTaken = this.#step({ type: "message-received", received }, packet);
    const { role, master } = this.machine.view;
    const isOurMaster = role === "member" ? sender === master : role !== "master";
    if (message.type === "master-keepalive" && isTaken && isOurMaster && proof.kind === "mac") {
      this.keys.follow(proof.keyId);
    }
  }

  #obey(order: HeartOrder): void {
    switch (order.type) {
      case "group-key":
        this.keys.install(order.key, order.activate);
        return void this.#step({ type: "key-available" });
      case "retire-keys":
        return this.keys.retire();
      case "config-changed":
        this.#revoked = new Set(order.revoked);
        this.#detectionMs = order.detection.intervalMs;
        return void this.#step(order);
      case "tables-published":
      case "expel":
      case "leave":
        return void this.#step(order);
    }
  }

  /** Whether the input was acted upon, or could have been. */
  #step(input: Input, packet?: Packet): boolean {
    const { view } = this.machine;
    const effects = this.machine.step(this.#now, input);
    if (this.machine.view !== view) this.#world.viewsChanged();
    const isTaken = !effects.some(({ type }) => type === "ignored");
    if (packet !== undefined && input.type === "message-received") {
      this.#world.probes.received(this, packet, input.received, isTaken);
    }
    for (const effect of effects) this.#perform(effect);
    return isTaken;
  }

  #perform(effect: Effect): void {
    const { probes } = this.#world;
    switch (effect.type) {
      case "send": {
        const packet = seal(this.identity, this.keys, effect.message, this.#counter + 1);
        if (packet === undefined) return;
        this.#counter += 1;
        probes.sent(this, effect.to, effect.message);
        return this.#world.transmit(this.id, effect.to, packet);
      }
      case "ignored":
        return probes.ignored(this, effect.reason);
      case "lost-mastership":
      case "left":
        this.#program.leaseUntilMs = 0;
        this.#program.acceptUntil = () => 0;
        probes.decided(this, effect);
        return this.#emit(effect);
      case "became-master": {
        const event = { ...effect, keyId: this.keys.active?.keyId };
        probes.decided(this, event);
        return this.#emit(event);
      }
      case "vote-wanted":
      case "vote-unanswered":
      case "view-changed":
      case "announce-wanted":
      case "member-joined":
      case "member-departed":
      case "departure-confirmed":
      case "machine-gone":
      case "admitted-by":
      case "config-wanted":
      case "refused":
      case "join-denied":
      case "address-conflict":
        probes.decided(this, effect);
        return this.#emit(effect);
    }
  }

  #renewLease(now: Instant): void {
    if (!this.machine.mayAnswer(now)) return;
    this.#program.leaseUntilMs = now + LEASE_INTERVALS * this.#detectionMs;
  }
}
