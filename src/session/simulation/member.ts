// A made-up member: its machine, and the session server on it with the real engine. A frozen one hears late what it was told.
import { type Instant, instant } from "#base/time.ts";
import { type NodeId, nodeId } from "#base/ids.ts";
import type { ReplicaCount } from "#core/takeover/replica-choice.ts";
import type { OpenedEvent } from "#driver/bpf/session-program.ts";
import type { FromMember, ToMember } from "#wire/takeover/message.ts";
import type { ConnectionKey } from "#wire/takeover/record.ts";
import type { Clock } from "../clock.ts";
import { CountedReplicas } from "../counted-replicas.ts";
import { Engine } from "../engine.ts";
import type { Session } from "../session.ts";
import { Tenure } from "../tenure.ts";
import { WorkSets } from "../work-sets.ts";
import { Currency } from "#core/takeover/currency.ts";
import { PRESENT_EVERY_MS } from "#core/takeover/reliance.ts";
import { readBareSegment, SimulatedKernel } from "./kernel.ts";
import type { Segment } from "./tcp.ts";

/** What a member asks of the world around it. */
export interface MemberWorld {
  readonly nowMs: () => number;
  readonly every: (ms: number, turn: () => void) => () => void;
  readonly later: (ms: number, turn: () => void) => () => void;
  readonly leaves: (from: NodeId, key: ConnectionKey, segment: Segment) => void;
  /** Streams to and from each other member are there. */
  readonly isWhole: (member: NodeId) => boolean;
  readonly serve: (session: Session) => void;
  readonly replicas: ReplicaCount;
  readonly tell: (from: NodeId, to: NodeId, message: ToMember) => void;
  /** Members that `member` tells, and that have not answered it for too long. */
  readonly dropped: (member: NodeId, replicas: readonly NodeId[]) => void;
  readonly present: (from: NodeId, to: NodeId, asked: number) => void;
  readonly answer: (from: NodeId, to: NodeId, message: FromMember) => void;
}

const LEASE_MS = 150;
const FORGET_MS = 10_000;

export class Member {
  readonly id: NodeId;
  readonly kernel: SimulatedKernel;
  readonly engine: Engine;
  readonly tenure: Tenure;
  readonly workSets: WorkSets;
  readonly counted: CountedReplicas;
  readonly currency = new Currency();
  readonly #world: MemberWorld;
  readonly #gone = new Map<NodeId, number>();
  /** What its process is told while it stands still; undefined: it runs. */
  #late: (() => void)[] | undefined;
  #isHanging = false;
  alive = true;
  /** Its machine's link. */
  linked = true;
  /** No other member hears it or is heard by it, but clients do (ADR 29). */
  apart = false;
  /** Since when it has not renewed its lease. */
  unheardSince = Infinity;
  trouble: Error | undefined;

  constructor(number: number, world: MemberWorld) {
    this.id = nodeId(number);
    this.#world = world;
    this.workSets = new WorkSets(this.id);
    this.kernel = new SimulatedKernel({
      nowMs: world.nowMs,
      leaves: (key, segment) => world.leaves(this.id, key, segment),
      tell: (event) => this.turn(() => this.engine.told([event])),
      turn: (run) => this.turn(run),
      hasLease: () => world.nowMs() < this.unheardSince + LEASE_MS,
    });
    const clock: Clock = {
      now: () => instant(world.nowMs()),
      every: (ms, turn) => world.every(ms, () => this.turn(turn)),
      later: (ms, turn) => world.later(ms, () => this.turn(turn)),
    };
    this.engine = new Engine({
      program: this.kernel.program,
      raw: { send: (to, packet) => this.#sendRaw(to, packet) },
      links: {
        tell: (to, message) => world.tell(this.id, to, message),
        answer: (to, message) => world.answer(this.id, to, message),
        isCurrent: (owner) => this.currency.isCurrent(this.#now(), owner),
      },
      sockets: this.kernel.sockets,
      clock,
      replicas: world.replicas,
      onSession: world.serve,
      trouble: (error) => (this.trouble = error),
    });
    clock.every(PRESENT_EVERY_MS, () => this.#look());
    this.counted = new CountedReplicas(clock, (replica) => this.engine.replicaReleased(replica));
    this.tenure = new Tenure(clock, {
      hearAgain: () => this.currency.hearAgain(),
      waits: () => {},
      right: () => this.kernel.program.right(),
      isWhole: () => world.isWhole(this.id),
      grant: (tenure) => {
        this.kernel.program.grant(tenure);
        this.#takeOver();
      },
    });
  }

  #now(): Instant {
    return instant(this.#world.nowMs());
  }

  /** What session/links.ts does every now and then. */
  #look(): void {
    const { asked, owners } = this.currency.ask(this.#now());
    for (const owner of owners) this.#world.present(this.id, owner, asked);
    this.#world.dropped(this.id, this.counted.look());
  }

  /** A stream to a replica begins. */
  streamBegan(replica: NodeId): void {
    this.counted.streamBegan(replica);
    this.engine.replicaChanged(replica, true);
  }

  /** @param knows the replica has ended it itself */
  streamEnded(replica: NodeId, knows: boolean): void {
    this.engine.replicaChanged(replica, false);
    this.counted.streamEnded(replica, knows);
  }

  #sendRaw(_to: string, packet: Uint8Array): void {
    const view = new DataView(packet.buffer, packet.byteOffset, packet.byteLength);
    const text = (at: number): string => [...packet.subarray(at, at + 4)].join(".");
    const key = {
      ...{ vip: text(12), port: view.getUint16(20) },
      ...{ peer: text(16), peerPort: view.getUint16(22) },
    } as ConnectionKey;
    this.kernel.egress(key, readBareSegment(packet));
  }

  /** Something for its process: now, or when it runs again. */
  turn(run: () => void): void {
    if (!this.alive) return;
    if (this.#late === undefined) run();
    else this.#late.push(run);
  }

  freeze(): void {
    this.#late = [];
    this.unheardSince = this.#world.nowMs();
  }

  /** Its process alone stands still: its kernel goes on, and its agent renews the lease. */
  hang(): void {
    this.#late = [];
    this.#isHanging = true;
  }

  thaw(): void {
    this.#isHanging = false;
    const late = this.#late ?? [];
    this.#late = undefined;
    for (const run of late) this.turn(run);
  }

  get isFrozen(): boolean {
    return this.#late !== undefined && !this.#isHanging;
  }

  get isHanging(): boolean {
    return this.#isHanging;
  }

  /** A handshake ends here; its application gets it a little later. */
  accept(event: OpenedEvent, acceptLater: (accept: () => void) => void): void {
    const socket = this.kernel.accept(event.key, event);
    this.turn(() => this.engine.told([event]));
    acceptLater(() => this.turn(() => this.engine.accepted(event.key, socket)));
  }

  // What session/server.ts makes of its agent's words.

  left(member: NodeId): void {
    this.currency.departed(this.#now(), member);
    this.counted.departed(member);
    this.#gone.set(member, this.#world.nowMs());
    this.#takeOver();
    this.engine.memberGone(member);
  }

  joined(member: NodeId): void {
    this.currency.returned(member);
    this.#gone.delete(member);
  }

  gained(slot: number): void {
    this.workSets.set("g", String(slot), this.id);
    this.#takeOver();
  }

  lost(slot: number, to: NodeId | undefined): void {
    this.workSets.set("g", String(slot), to);
    this.engine.stopTaking((key) => this.isMine(key));
    this.handOver();
  }

  handOver(): void {
    this.engine.handOver((key) => this.workSets.otherOwner(placeOf(key)));
  }

  isMine(key: ConnectionKey): boolean {
    return this.workSets.isMine(placeOf(key));
  }

  #takeOver(): void {
    for (const [id, at] of this.#gone) {
      if (this.#world.nowMs() > at + FORGET_MS) this.#gone.delete(id);
      else this.engine.takeOver(id, (key) => this.isMine(key));
    }
  }
}

export const SLOTS = 8;
export const slotOf = (key: ConnectionKey): number => key.peerPort % SLOTS;
const placeOf = (key: ConnectionKey) => ({ group: "g", slot: slotOf(key) });
