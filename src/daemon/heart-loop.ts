// One turn after the other of the heart (docs/adr/0002): wait, read everything that has arrived, step the membership
// machine, perform. Silence is judged only after the socket was found empty, by the kernel's times of arrival.
import type { IpAddress } from "#base/address.ts";
import type { NodeId } from "#base/ids.ts";
import { instant, type Instant } from "#base/time.ts";
import type { AdmittedNode, Effect, Input } from "#core/membership/protocol.ts";
import { Membership } from "#core/membership/machine.ts";
import { AcceptLease, AnswerLease, SpeakLease } from "#driver/bpf/lease.ts";
import { ClusterAuth } from "#driver/cluster/auth.ts";
import { type Arrival, ClusterSocket, monotonicMs } from "#driver/cluster/cluster-socket.ts";
import { LONGEST_WAIT_MS, Waiting } from "#driver/cluster/waiting.ts";
import { HeartCounts } from "./heart-counts.ts";
import type { HeartEvent, HeartOrder, HeartSettings } from "./heart-protocol.ts";

/** A flood must not keep the loop from its deadlines. */
const LONGEST_DRAIN_MS = 50;
const COUNTERS_EVERY_MS = 1000;
/** Deadlines that are due at once; each step sets the next one later. */
const MOST_STEPS = 32;
/** The lease for answering, in detection intervals (docs/adr/0003). */
const LEASE_INTERVALS = 2;
/** The lease for accepting is renewed so many times before it would run out (docs/adr/0008). */
const ACCEPT_RENEWALS = 4;

export interface HeartSurroundings {
  readonly wakeFd: number;
  readonly emit: (event: HeartEvent) => void;
  readonly nextOrder: () => HeartOrder | undefined;
}

export class HeartLoop {
  readonly #surroundings: HeartSurroundings;
  readonly #auth: ClusterAuth;
  readonly #socket: ClusterSocket;
  readonly #waiting: Waiting;
  readonly #leases: Leases | undefined;
  readonly #machine: Membership;
  readonly #counts = new HeartCounts();
  readonly #self: NodeId;
  #everyone: readonly (IpAddress | "everyone")[];
  #detectionMs: number;
  /** Of the machine, as sessions know it. Those of an agent before this one ask again. */
  #tenure: number | undefined;
  #together: ReadonlySet<NodeId> | undefined;
  #countersAt: number;
  #stopped = false;

  /** @param boot larger than that of every earlier start of this node */
  constructor(settings: HeartSettings, boot: bigint, surroundings: HeartSurroundings) {
    const { self, credentials, revoked } = settings;
    this.#surroundings = surroundings;
    this.#self = self.id;
    this.#everyone = everyoneOf(settings.admitted, self.id);
    this.#auth = new ClusterAuth({ id: self.id, boot, revoked, ...credentials });
    const { netns } = settings;
    this.#socket = new ClusterSocket({
      interface: settings.interface,
      address: self.address,
      port: settings.port,
      ...(netns === undefined ? {} : { netns }),
    });
    this.#waiting = new Waiting(this.#socket.fd, surroundings.wakeFd);
    this.#leases = openLeases(settings.stateFd);
    this.#detectionMs = settings.detection.intervalMs;
    this.#countersAt = monotonicMs() + COUNTERS_EVERY_MS;
    const { id, address, mac } = self;
    const { epoch, config, admitted, detection, together, splitOfTwo } = settings;
    this.#machine = new Membership(
      {
        ...{ self: { id, address, mac }, boot, epoch, config, admitted, detection },
        ...{ together, splitOfTwo },
      },
      instant(monotonicMs()),
    );
  }

  /** Until told to stop. */
  run(): void {
    try {
      while (!this.#stopped) this.#turn();
      this.#giveUpLeases();
    } finally {
      this.#emitCounters();
      this.#leases?.answer.close();
      this.#leases?.accept.close();
      this.#leases?.speak.close();
      this.#socket.close();
    }
  }

  #turn(): void {
    const before = monotonicMs();
    const waitMs = this.#waitMs(before);
    this.#waiting.wait(waitMs);
    this.#counts.delayed(monotonicMs() - before - waitMs);
    this.#drain();
    this.#takeOrders();
    const nowMs = monotonicMs();
    this.#meetDeadlines();
    this.#renewLeases(nowMs);
    this.#tellTogether();
    if (monotonicMs() >= this.#countersAt) this.#emitCounters();
  }

  #waitMs(nowMs: number): number {
    const acceptMs = this.#machine.acceptMs(instant(nowMs));
    const renewMs = acceptMs > 0 ? acceptMs / ACCEPT_RENEWALS : LONGEST_WAIT_MS;
    const dueMs = (this.#machine.deadline ?? nowMs + LONGEST_WAIT_MS) - nowMs;
    return Math.max(0, Math.min(dueMs, renewMs, LONGEST_WAIT_MS));
  }

  #drain(): void {
    const until = monotonicMs() + LONGEST_DRAIN_MS;
    while (monotonicMs() < until) {
      const arrival = this.#socket.receive();
      if (arrival === undefined) break;
      this.#received(arrival);
    }
    for (;;) {
      const address = this.#socket.takeUnreachable();
      if (address === undefined) return;
      this.#counts.received("port-unreachable", 0);
      this.#step({ type: "port-unreachable", address });
    }
  }

  #received({ bytes, from, atMs }: Arrival): void {
    const opened = this.#auth.open(bytes, from, atMs);
    if (!opened.ok) {
      if (opened.reason !== "own") this.#counts.dropped(opened.reason);
      if (opened.stranger === undefined) return;
      return void this.#step({ type: "stranger-refused", from, ...opened.stranger });
    }
    const { header, message } = opened;
    this.#counts.received(message.type, bytes.byteLength);
    const { sender, boot, counter } = header;
    const at = instant(atMs);
    const isTaken = this.#step({
      type: "message-received",
      received: { sender, boot, counter, from, at, message },
    });
    const { role, master } = this.#machine.view;
    const isOurMaster = role === "member" ? sender === master : role !== "master";
    if (message.type === "master-keepalive" && isTaken && isOurMaster) this.#auth.followMaster();
  }

  #takeOrders(): void {
    for (;;) {
      const order = this.#surroundings.nextOrder();
      if (order === undefined) return;
      this.#obey(order);
    }
  }

  #obey(order: HeartOrder): void {
    switch (order.type) {
      case "stop":
        this.#stopped = true;
        return;
      case "group-key":
        this.#auth.keys.install(order.keyId, order.key, order.activate);
        return void this.#step({ type: "key-available" });
      case "retire-keys":
        return this.#auth.keys.retire();
      case "config-changed":
        this.#auth.revoked = order.revoked;
        this.#detectionMs = order.detection.intervalMs;
        this.#everyone = everyoneOf(order.admitted, this.#self);
        return void this.#step(order);
      case "tables-published":
      case "expel":
      case "voters-changed":
      case "join-voted":
      case "leave":
        return void this.#step(order);
    }
  }

  #meetDeadlines(): void {
    for (let steps = 0; steps < MOST_STEPS; steps++) {
      const { deadline } = this.#machine;
      if (deadline === undefined || deadline > monotonicMs()) return;
      this.#step({ type: "deadline-reached" });
    }
  }

  /** Whether the input was acted upon, or could have been. */
  #step(input: Input): boolean {
    const now: Instant = instant(monotonicMs());
    const effects = this.#machine.step(now, input);
    for (const effect of effects) this.#perform(effect);
    return !effects.some(({ type }) => type === "ignored");
  }

  #perform(effect: Effect): void {
    switch (effect.type) {
      case "send": {
        const bytes = this.#auth.seal(effect.message);
        if (bytes === undefined) return this.#counts.dropped("no-key");
        const everyone = this.#everyone;
        for (const to of effect.to === "everyone" ? everyone : [effect.to]) {
          const sent = this.#socket.send(to, bytes);
          if (sent) this.#counts.sent(effect.message.type, bytes.byteLength);
          else this.#counts.dropped("not-sent");
        }
        return;
      }
      case "ignored":
        return this.#counts.dropped(effect.reason);
      case "lost-mastership":
      case "left":
        this.#giveUpLeases();
        this.#tellTogether(); // the next start is to know it, so it is saved before the agent ends
        return this.#surroundings.emit(effect);
      case "became-master":
        return this.#surroundings.emit({ ...effect, keyId: this.#auth.keys.active });
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
      case "vote-wanted":
      case "vote-unanswered":
      case "address-conflict":
        return this.#surroundings.emit(effect);
    }
  }

  /**
   * Only while this node is sure of its role, and only from this thread: a frozen node loses its rights by itself, and one
   * that runs again first hears whether it has been replaced.
   * @param nowMs from before the machine said to others that this node lives, in case it is frozen right after
   */
  #renewLeases(nowMs: number): void {
    if (this.#leases === undefined) return;
    const now = instant(nowMs);
    const { answer, accept, speak } = this.#leases;
    if (this.#machine.mayAnswer(now)) {
      answer.renew(nanoseconds(nowMs + LEASE_INTERVALS * this.#detectionMs));
    }
    const acceptMs = this.#machine.acceptMs(now);
    accept.renew(acceptMs > 0 ? nanoseconds(nowMs + acceptMs) : 0n);
    const { tenure } = this.#machine;
    if (tenure !== this.#tenure) speak.beginTenure();
    this.#tenure = tenure;
    const speakMs = this.#machine.speakMs(now);
    speak.renew(speakMs > 0 ? nanoseconds(nowMs + speakMs) : 0n);
  }

  #giveUpLeases(): void {
    this.#leases?.answer.renew(0n);
    this.#leases?.accept.renew(0n);
    this.#leases?.speak.renew(0n);
  }

  #tellTogether(): void {
    const { together } = this.#machine;
    if (together === this.#together) return;
    this.#together = together;
    this.#surroundings.emit({ type: "together-changed", nodes: [...together] });
  }

  #emitCounters(): void {
    const now = monotonicMs();
    this.#countersAt = now + COUNTERS_EVERY_MS;
    const heard = this.#machine.hearings.map(({ id, loss, heardAt }) => ({
      id,
      lossEstimate: loss,
      lastHeardMs: Math.max(0, now - heardAt),
    }));
    const together = [...this.#machine.together];
    const maySpeak = (this.#leases?.speak.untilNs ?? 0n) > process.hrtime.bigint();
    const counters = this.#counts.snapshot({ heard, together, maySpeak });
    this.#surroundings.emit({ type: "counters", counters });
  }
}

interface Leases {
  readonly answer: AnswerLease;
  readonly accept: AcceptLease;
  readonly speak: SpeakLease;
}

const openLeases = (stateFd: number | undefined): Leases | undefined =>
  stateFd === undefined
    ? undefined
    : {
        answer: new AnswerLease(stateFd),
        accept: new AcceptLease(stateFd),
        speak: new SpeakLease(stateFd),
      };

/**
 * Where what is for everyone goes: one datagram to all on the segment, and one to each node beyond it (docs/adr/0022). A node beyond it
 * has nobody on its own.
 */
export function everyoneOf(
  admitted: readonly AdmittedNode[],
  self: NodeId,
): (IpAddress | "everyone")[] {
  const isRemote = admitted.some(({ id, remote }) => id === self && remote === true);
  const others = admitted.filter(({ id, remote }) => id !== self && (isRemote || remote === true));
  const copies = others.map(({ address }) => address);
  return isRemote ? copies : ["everyone", ...copies];
}

const nanoseconds = (ms: number): bigint => BigInt(Math.round(ms * 1e6));
